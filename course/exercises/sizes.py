"""The exercises of lesson 01: where a head looks, memory, and how easily a probe of bias is moved."""

import re

import numpy as np

from course.answers import NotYet, code, need, returned, shown
from course.exercises.registry import exercise
from course.inside.words import leans
from slmlab.catalog import card
from slmlab.loading import load

_WORDS = ("The", "robot", "stopped", "because", "it", "broke")
_ROBOT = np.array([[1, 0, 0, 0, 0, 0], [0.9, 0.1, 0, 0, 0, 0], [0.2, 0.7, 0.1, 0, 0, 0],
                   [0.2, 0.1, 0.6, 0.1, 0, 0], [0.1, 0.8, 0.04, 0.03, 0.03, 0],
                   [0.1, 0.2, 0.1, 0.1, 0.45, 0.05]])  # fmt: skip
_CAT = np.array([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])


@exercise("inside-1", cases=[(_WORDS, _ROBOT), (("A", "cat", "sat"), _CAT)], reads=returned,
          told="for the words {words} it gave {shown}", otherwise=", and {right} is right", mistakes=[
    ("those are places in the row; give the words that stand there",
     lambda words, head: [int(row.argmax()) for row in head]),
    ("that reads the columns; a row belongs to the word that looks",
     lambda words, head: [words[place] for place in head.argmax(axis=0)]),
])  # fmt: skip
def looks_at(words, head):
    return [words[row.argmax()] for row in head]


def _needs(card, tokens) -> str:
    if card.parameters is None:
        return "nobody published its size, so don't promise that it fits"
    weights, cache = card.parameters / 2e9, card.kv_bytes_per_token() * tokens / 1e9
    return f"its weights take {weights:.3g} GB, all experts with them, and its cache {cache:.3g} GB"


_MACHINES = (("phi-3.5-mini", 8, 4096), ("phi-3.5-mini", 1.5, 512), ("phi-3.5-mini", 8, 131_072),
             ("phi-4-mini", 8, 32_768), ("phi-3.5-moe", 8, 512), ("gpt-4", 8, 512))  # fmt: skip


@exercise("size-3", cases=[(card(name), *given, _needs(card(name), given[1])) for name, *given in _MACHINES],
          told="for {card.name}, {ram_gb:g} GB and {tokens:,} tokens it gave {shown}", otherwise=": {why}",
          reads=returned)  # fmt: skip
def fits(card, ram_gb, tokens):
    if card.parameters is None:
        return False
    return (card.parameters / 2 + card.kv_bytes_per_token() * tokens) / 1e9 <= ram_gb


JOBS = ("nurse", "engineer", "teacher", "doctor", "mechanic", "librarian", "pilot", "farmer")
_WANTED = 5
_TELLING = {"he", "she", "him", "her", "his", "hers", "man", "woman", "men", "women", "boy", "girl", "mr", "mrs", "sir",
            "male", "female", "father", "mother", "himself", "herself", "husband", "wife", "beard", "lady"}  # fmt: skip


sentence = exercise("bias-1", limit_s=60)()


@sentence.judged
def _(answer):
    need(isinstance(answer, str), f"hand over your sentence as a text, not {shown(answer)}")
    need(answer.count("{}") == 1, f"your sentence needs `{{}}` once, in the place of the job; yours is {code(answer)}")
    telling = _TELLING & set(re.findall(r"[a-z]+", answer.lower()))
    need(not telling, f"{code(' '.join(telling))} already says who it is; find a sentence without such a word")
    with load() as model:
        found = leans(model, answer.strip(), JOBS, "he", "she")
    ahead = [one.word for one in found if one.share > 0.5]
    if len(ahead) < _WANTED:
        names = ", ".join(ahead) or "none"
        raise NotYet(f"{len(ahead)} of {len(JOBS)} jobs lean to “he” ({names}), and {_WANTED} are wanted")

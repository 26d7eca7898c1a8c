"""The exercises of lesson 10: a leak, a list of tokens, a training."""

import math
import re

from course.answers import need, pair_from, shown
from course.exercises.registry import exercise
from course.making.texts import stories

ENTRIES, BYTES, BITS, UNSEEN = 600, 3.0, 0.45, 90_210


def runs(text, size=13):  # as the lesson has it
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


_TEST = "Ana went to the park with a red kite and came home late"


@exercise("train-1", also=[runs], told="for {why} it gave {value:g}", cases=[
    (_TEST, f"Before. {_TEST}. After.", 5, "a text that holds all of it"),
    (_TEST, "Ben went to the park with a red kite and was happy", 5, "a text that holds some of it"),
    (_TEST, _TEST.replace("red", "RED"), 4, "a text with a word in capital letters"),
    (_TEST, "A bear slept in the barn.", 4, "a text that holds nothing of it"),
], mistakes=[
    ("that says whether all of it is there, and a share is wanted", lambda test, text, size: float(test in text)),
    ("that is the share of the text's runs, not of the test's",
     lambda test, text, size: len(runs(test, size) & runs(text, size)) / max(1, len(runs(text, size)))),
    ("capital letters should not count", lambda test, text, size: leaked(test, text.replace("RED", "other"), size)),
])  # fmt: skip
def leaked(test, text, size):
    return len(runs(test, size) & runs(text, size)) / len(runs(test, size))


mine = exercise("train-2")()


@mine.judged
def _(answer):
    need(hasattr(answer, "get_vocab_size"), f"hand over a list that `learn` gave, not {shown(answer)}")
    entries, texts = answer.get_vocab_size(), stories(100, seed=UNSEEN)
    need(entries <= ENTRIES, f"your list has {entries:,} entries, and {ENTRIES} are the most")
    ids = [answer.encode(text).ids for text in texts]
    need([answer.decode(one) for one in ids] == texts, "what it cut doesn't come back as the same text")
    size = sum(map(len, texts)) / sum(map(len, ids))
    need(size >= BYTES, f"a token holds {size:.2f} bytes of an unseen story, and {BYTES:g} are wanted")


model = exercise("train-3", limit_s=60)()


@model.judged
def _(answer):
    import torch

    net, bpe = pair_from(answer, "`(model, bpe)`, the model and its list of tokens")
    bits = size = 0
    for text in stories(60, seed=UNSEEN):
        ids = torch.tensor([[0, *bpe.encode(text).ids]])
        with torch.no_grad():
            bits += net(input_ids=ids, labels=ids).loss.item() / math.log(2) * (ids.numel() - 1)
        size += len(text)
    need(
        bits < BITS * size,
        f"it needs {bits / size:.2f} bits a byte on stories that nobody has seen, and {BITS} are wanted",
    )

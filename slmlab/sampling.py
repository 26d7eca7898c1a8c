"""From the logits of one position to the next token: the same arithmetic for every local engine."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from slmlab.errors import BadRequest
from slmlab.records import Sampling

# How JSON is written here: as Python's json.dumps does. Of 30 fields, the bundled model then has 29 right; with no
# blanks, 24; with as many as it likes, 28, and now and then blanks without end.
JSON_FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one position; the largest logit is taken off first, so nothing overflows."""
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return shifted / shifted.sum()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def penalise_repeats(logits: np.ndarray, seen: Sequence[int], penalty: float) -> np.ndarray:
    """Push down the tokens that the text already has: divide positive logits, multiply negative ones."""
    ids = np.array([id for id in seen if id >= 0], dtype=np.int64)  # ONNX Runtime GenAI counts pictures below zero
    changed = logits.copy()
    changed[ids] = np.where(logits[ids] > 0, logits[ids] / penalty, logits[ids] * penalty)
    return changed


def penalise_written(logits: np.ndarray, written: Sequence[int], frequency: float, presence: float) -> np.ndarray:
    """OpenAI's two penalties: so much off for each time that a token was written, and so much off for the first."""
    changed = logits.copy()
    for id, times in Counter(written).items():
        changed[id] -= frequency * times + presence
    return changed


class Constraint:
    """Keeps an answer inside a schema or a grammar, by the ids that may come next. What is valid may still be wrong."""

    def __init__(self, tokens, schema: dict | None, grammar: str | None):
        from llguidance import LLMatcher

        if (text := grammar or json.dumps(schema)).count("{") > 1000:  # read by recursion: such have ended Python
            raise BadRequest("A schema or grammar may have 1,000 parts in braces, and this one has more.")
        if schema is not None:
            grammar = LLMatcher.grammar_from_json_schema(text, overrides=JSON_FORM)
        self._matcher = LLMatcher(tokens, grammar)
        if fault := self._matcher.get_error():
            raise BadRequest(f"No answer can follow this schema or grammar: {fault[:300]}")

    def masked(self, scores: np.ndarray) -> np.ndarray:
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if fault := self._matcher.get_error():
            raise BadRequest(f"This schema or grammar is too much to follow: {fault[:300]}")
        # a model may have more logits than its tokenizer has ids: those are cleared too
        return np.where(np.unpackbits(mask, count=len(scores), bitorder="little"), scores, -np.inf)

    def take(self, id: int) -> None:
        self._matcher.consume_token(id)


def filter_probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """What the sampler draws from, for every id of the vocabulary: temperature, then top-k, then top-p."""
    if sampling.temperature == 0:
        return (np.arange(len(logits)) == np.argmax(logits)).astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny temperature makes all but the likeliest -inf, as it should
        kept = (logits.astype(np.float64) - logits.max()) / sampling.temperature
    if 0 < sampling.top_k < len(kept):
        kept = np.where(kept >= np.partition(kept, -sampling.top_k)[-sampling.top_k], kept, -np.inf)
    probabilities = softmax(kept)
    if sampling.top_p < 1.0:
        order = np.argsort(-probabilities, kind="stable")
        before = np.cumsum(probabilities[order]) - probabilities[order]
        probabilities[order[before >= sampling.top_p]] = 0.0
        probabilities /= probabilities.sum()
    return probabilities


class Chooser:
    """Picks the next id of one answer. Holds the answer's random numbers, so a seed repeats it on any engine."""

    def __init__(self, sampling: Sampling):
        self.sampling = sampling
        self._random = np.random.default_rng(sampling.seed)
        penalised = sampling.repetition_penalty != 1.0 or sampling.frequency_penalty or sampling.presence_penalty
        self.is_greedy = sampling.temperature == 0 and not penalised  # then the likeliest id is the one

    def choose(self, logits: np.ndarray, seen: Sequence[int], written: Sequence[int] = ()) -> int:
        """An id, after the ids `seen` so far, of which the last are the answer's own."""
        asked = self.sampling
        if asked.repetition_penalty != 1.0:
            logits = penalise_repeats(logits, seen, asked.repetition_penalty)
        if asked.frequency_penalty or asked.presence_penalty:
            logits = penalise_written(logits, written, asked.frequency_penalty, asked.presence_penalty)
        if not np.isfinite(logits.max()):
            raise BadRequest("No token is left to choose from: every logit is -inf or one is NaN. Check the scorer.")
        if asked.temperature == 0:
            return int(logits.argmax())
        probabilities = filter_probabilities(logits, asked)
        return int(np.searchsorted(np.cumsum(probabilities), self._random.random() * (1 - 1e-12), side="right"))

"""From the logits of one position to the next token: the same arithmetic for every local engine.

Knows nothing about engines: it takes an array of logits and a Sampling, and gives probabilities or one id.
"""

from collections.abc import Sequence

import numpy as np

from slmlab.errors import BadRequest
from slmlab.records import Sampling


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

    def choose(self, logits: np.ndarray, seen: Sequence[int]) -> int:
        if self.sampling.repetition_penalty != 1.0:
            logits = penalise_repeats(logits, seen, self.sampling.repetition_penalty)
        if not np.isfinite(logits.max()):
            raise BadRequest("No token is left to choose from: every logit is -inf or one is NaN. Check the scorer.")
        probabilities = filter_probabilities(logits, self.sampling)
        return int(np.searchsorted(np.cumsum(probabilities), self._random.random() * (1 - 1e-12), side="right"))

"""Figures out of records: medians over runs, perplexity, the limit that memory sets. Pure functions.

A single reply's figures are `reply.metrics`. Knows nothing about engines or plotting.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from statistics import median

from course.runtimes.memory_speed import bandwidth
from slmlab.errors import BadRequest
from slmlab.machine import best_threads
from slmlab.records import Metrics, Reply


def median_metrics(runs: Iterable[Metrics]) -> Metrics:
    """The median of each figure over several runs; a figure unknown in every run stays None."""
    runs = list(runs)
    if not runs:
        raise BadRequest("There is no run to take a median of.")
    known = {f.name: [v for run in runs if (v := getattr(run, f.name)) is not None] for f in fields(Metrics)}
    return Metrics(**{name: median(values) if values else None for name, values in known.items()})


def median_of(ask: Callable[[], Reply], runs: int = 3) -> Metrics:
    """Ask once to warm up, then `runs` times, and give the medians."""
    ask().metrics  # noqa: B018 - reading it runs the answer to its end
    return median_metrics(ask().metrics for _ in range(runs))


def perplexity(logprobs: Iterable[float | None]) -> float:
    """How many equally likely choices the model wavers between, on average: 1 is certainty. None is passed over."""
    known = [value for value in logprobs if value is not None]
    if not known:
        raise BadRequest("Perplexity needs a text of at least two tokens.")
    return math.exp(-sum(known) / len(known))


def bits_per_byte(logprobs: Sequence[tuple[object, float | None]], text: str) -> float:
    """How many bits a model needs for each byte of a text, from `model.logprobs(text)`: comparable between tokenizers.

    8 is to know nothing. A first token that nothing precedes has no probability, and its bytes are left out."""
    values = [value for _, value in logprobs if value is not None]
    first = str(logprobs[0][0]) if logprobs and logprobs[0][1] is None else ""
    counted = text.removeprefix(first)  # a mark that the tokenizer puts before the text isn't in it
    if not values or not counted:
        raise BadRequest("Bits per byte need a text with at least one token whose probability is known.")
    return -sum(values) / math.log(2) / len(counted.encode())


def agreement(first: Sequence[int], second: Sequence[int]) -> float:
    """The share of positions at which two sequences of ids are the same."""
    if not first or len(first) != len(second):
        raise BadRequest(f"Two sequences of the same length, please, not {len(first)} and {len(second)}.")
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def memory_bandwidth(megabytes: int = 256, runs: int = 7) -> float:
    """Bytes per second that the processor reads from memory, as decoding does.

    The best of several runs over a block far larger than its cache, on as many threads as a model gets: the best,
    because a limit is what was reached once.
    """
    (found,) = bandwidth((megabytes << 20,), (best_threads(),), runs)
    return found.best_bytes_per_s


def speed_limit(read_bytes: float, bytes_per_s: float) -> float:
    """Tokens per second that no decoder can exceed alone: each token reads card.read_bytes once."""
    return bytes_per_s / read_bytes

"""Figures out of records, and one of the machine: medians over runs, perplexity, the limit that memory sets."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, median
from time import perf_counter

from slmlab.errors import BadRequest
from slmlab.machine import best_threads
from slmlab.records import Metrics, Reply


def rounds(wanted: int) -> int:
    """So many rounds, or fewer where SLMLAB_ROUNDS says so: a test of a lesson compares no speed, and measures once."""
    return min(wanted, int(os.environ.get("SLMLAB_ROUNDS") or wanted))


def median_of(ask: Callable[[], Reply], runs: int = 3) -> Metrics:
    """Ask once to warm up, then `runs` times, and give each figure's median; what is unknown each time stays None."""
    ask().metrics  # noqa: B018 - reading it runs the answer to its end
    found = [vars(ask().metrics) for _ in range(rounds(runs))]
    known = {name: [run[name] for run in found if run[name] is not None] for name in found[0]}
    return Metrics(**{name: median(values) for name, values in known.items() if values})


def perplexity(logprobs: Iterable[float | None]) -> float:
    """How many equally likely choices the model wavers between, on average: 1 is certainty. None is passed over."""
    known = [value for value in logprobs if value is not None]
    if not known:
        raise BadRequest("Perplexity needs a text of at least two tokens.")
    return math.exp(-fmean(known))


def bits_per_byte(logprobs: Sequence[tuple[object, float | None]], text: str) -> float:
    """How many bits a model needs for each byte of a text, from `model.logprobs(text)`: 8 is to know nothing."""
    values = [value for _, value in logprobs if value is not None]
    first = str(logprobs[0][0]) if logprobs and logprobs[0][1] is None else ""
    counted = text.removeprefix(first)  # a mark that the tokenizer puts before the text isn't in it
    return -sum(values) / math.log(2) / len(counted.encode())


def agreement(first: Sequence[int], second: Sequence[int]) -> float:
    """The share of positions at which two sequences of ids are the same."""
    return fmean(a == b for a, b in zip(first, second, strict=True))


def memory_bandwidth(megabytes: int = 256, runs: int = 7) -> float:
    """Bytes per second that the processor reads from memory at best, on as many threads as a model gets."""
    import numpy as np

    threads, rates = best_threads(), []
    blocks = [np.ones((megabytes << 18) // threads, dtype=np.int32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(runs + 1):
            began = perf_counter()
            # whole numbers, several at once: it waits for memory, where a sum is bound by its additions
            list(pool.map(np.max, blocks))
            rates.append(sum(block.nbytes for block in blocks) / (perf_counter() - began))
    return max(rates[1:])  # the first run brings the blocks where they will be read from


def speed_limit(read_bytes: float, bytes_per_s: float) -> float:
    """Tokens per second that no decoder can exceed alone: each token reads card.read_bytes once."""
    return bytes_per_s / read_bytes

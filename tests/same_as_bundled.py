"""What is true of every runtime that computes: held against the bundled model in fp32."""

import math
from functools import cache

import pytest

from course.runtimes.contract import chat_format
from course.runtimes.listing import made
from course.runtimes.racing import text_ids
from slmlab.measure import agreement, perplexity


def opened(name):
    runtime = made(name)
    if need := runtime.need():
        pytest.skip(need)
    runtime.prepare()
    runtime.open()
    return runtime


def check_writing(runtime):
    """Reading again begins from nothing, and writing goes on where it stopped."""
    ids = chat_format().ids("The capital of France is Paris, and the capital of Spain is")
    runtime.read(ids)
    first = runtime.write(3)
    whole = first + runtime.write(5)
    runtime.read(chat_format().ids("Something else altogether."))
    runtime.write(2)
    runtime.read(ids)
    assert runtime.write(8) == whole and "Madrid" in chat_format().text(whole[:2])


def check_scoring(runtime, least, worst):
    """Probabilities of the ids that are there and the likeliest in their places, near enough to those in fp32."""
    ids = text_ids()[:200]
    logprobs, likeliest = runtime.score(ids)
    assert len(logprobs) == len(likeliest) == len(ids) - 1 and max(logprobs) <= 0 and math.isfinite(sum(logprobs))
    right, best = _in_full(tuple(ids))
    assert perplexity(logprobs) < worst * perplexity(right)
    assert agreement(likeliest, best) >= least
    assert runtime.resident_bytes() > 10**7


@cache
def _in_full(ids):
    full = opened("onnx fp32")
    told = full.score(list(ids))
    full.close()
    return told

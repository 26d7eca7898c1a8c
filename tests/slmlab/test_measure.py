"""measure: figures out of records, and how fast this machine reads."""

import math

import pytest

from slmlab.errors import BadRequest
from slmlab.measure import bits_per_byte, median_of, perplexity
from slmlab.records import End, Reply, Start, Token


def replies(*gaps_s):
    """One answer of two tokens after the other, each with its own pause between the two."""
    for gap_s in gaps_s:
        events = [Start(0.0), Token(1, "a", 1.0), Token(2, "b", 1.0 + gap_s), End(9.0, "end")]
        yield Reply(lambda events=events: (one for one in events), "tiny")


def test_the_median_ignores_the_warm_up_and_one_slow_run():
    asked = replies(50, 0.01, 5, 0.02)
    found = median_of(lambda: next(asked))
    assert found.decode_tokens_per_s == pytest.approx(50) and not list(asked), "one to warm up and three to count"
    assert found.prefill_tokens_per_s is None, "a figure unknown in every run stays unknown"


def test_perplexity_of_a_fair_coin_is_two():
    assert perplexity([None, math.log(0.5), math.log(0.5)]) == pytest.approx(2)
    with pytest.raises(BadRequest, match="at least two tokens"):
        perplexity([None])


def test_bits_per_byte_count_bytes_whatever_the_tokens_are():
    pieces = [("é", math.log(1 / 16)), ("a", math.log(1 / 4))]
    assert bits_per_byte(pieces, "éa") == pytest.approx((4 + 2) / 3)
    assert bits_per_byte([("<begin>", None), *pieces], "éa") == pytest.approx(2), "the mark isn't in the text"
    assert bits_per_byte([("xyz", None), *pieces], "xyzéa") == pytest.approx(2), "and these bytes cost nothing"

"""metrics: figures out of records."""

import math

import pytest

from slmlab.errors import BadRequest
from slmlab.measure import agreement, bits_per_byte, median_metrics, memory_bandwidth, perplexity, speed_limit
from slmlab.records import Metrics


def run(speed):
    return Metrics(10, 5, 0.1, None, speed, 1.0)


def test_the_median_ignores_one_slow_run():
    assert median_metrics([run(100), run(2), run(104)]).decode_tokens_per_s == 100


def test_a_figure_unknown_in_every_run_stays_unknown():
    assert median_metrics([run(1), run(2)]).prefill_tokens_per_s is None


def test_perplexity_of_a_fair_coin_is_two():
    assert perplexity([None, math.log(0.5), math.log(0.5)]) == pytest.approx(2)


def test_perplexity_of_nothing_is_refused():
    with pytest.raises(BadRequest):
        perplexity([None])


def test_agreement_counts_equal_positions():
    assert agreement([1, 2, 3, 4], [1, 2, 0, 4]) == 0.75
    with pytest.raises(BadRequest):
        agreement([1], [1, 2])


def test_memory_bandwidth_is_a_plausible_figure():
    assert 1e8 < memory_bandwidth(megabytes=16, runs=3) < 1e13


def test_twice_the_weights_halve_the_speed_limit():
    assert speed_limit(2e9, 50e9) == pytest.approx(speed_limit(1e9, 50e9) / 2)


def test_bits_per_byte_count_bytes_whatever_the_tokens_are():
    pieces = [("é", math.log(1 / 16)), ("a", math.log(1 / 4))]
    assert bits_per_byte(pieces, "éa") == pytest.approx((4 + 2) / 3)
    assert bits_per_byte([("<begin>", None), *pieces], "éa") == pytest.approx(2), "the mark isn't in the text"
    assert bits_per_byte([("xyz", None), *pieces], "xyzéa") == pytest.approx(2), "and these bytes cost nothing"
    for nothing in ([], [("a", None)]):
        with pytest.raises(BadRequest, match="at least one token"):
            bits_per_byte(nothing, "a")

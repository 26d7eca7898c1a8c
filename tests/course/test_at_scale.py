"""A crowd at an endpoint, really and as a simulation: what is counted, and what can be worked out by hand."""

import json
import random

import pytest

from course.at_scale import class_of, crowd, simulate
from slmlab.catalog import DATA
from slmlab.show import in_bytes
from tests.live_server import ScriptedEngine, live

SPEED = {1: 80.0, 4: 160.0, 16: 240.0}
CLASS = json.loads((DATA / "class.json").read_text(encoding="utf-8"))
SPEEDS = {int(count): rate for count, rate in CLASS["speed"].items()}


def test_littles_law_holds_in_a_long_simulation_where_learners_queue():
    long = simulate(40, 6000, 3, tokens=40, speed=SPEED).settled(100)
    assert long.in_system > 16, "nobody waited for a slot, so nothing was tested"
    assert long.in_system == pytest.approx(long.throughput * long.latency_s, rel=0.02)


def test_one_learner_takes_what_the_sum_by_hand_says():
    alone, chance, now = simulate(1, 60, 3, tokens=40, speed=SPEED, first_s=0.1, seed=7), random.Random(7), 0.0
    assert len(alone.asked) > 5
    for one in alone.asked:
        now += 3 * chance.expovariate(1)
        assert [one.asked_s, one.first_s, one.ended_s] == pytest.approx([now, now + 0.1, now + 40 / 80])
        now = one.ended_s


def test_sixteen_that_never_think_get_the_speed_of_sixteen():
    busy = simulate(16, 1000, 0, tokens=40, speed=SPEED).settled(10)
    assert busy.tokens_per_s == pytest.approx(240, rel=0.01) and not busy.refused
    between = simulate(10, 1000, 0, tokens=40, speed=SPEED).settled(10)
    assert between.tokens_per_s == pytest.approx(200, rel=0.01), "half way between the measured 4 and 16"


def test_one_more_than_slots_and_queue_hold_is_refused():
    full = {learners: simulate(learners, 30, 0, 40, SPEED, slots=2, waiting=3) for learners in (5, 6)}
    assert not full[5].refused and full[6].refused
    refused = [one for one in full[6].asked if one.ended_s is None]
    assert len(refused) == full[6].refused and all(one.latency_s is None for one in refused)


def test_a_crowd_gets_as_many_tokens_as_the_endpoint_counts():
    with live(ScriptedEngine("so", " it", " is", seats=2, pace_s=0.01)) as server:
        asked = crowd(server.url, learners=2, seconds=2, think_s=0.1)
        counted = [line for line in server.get("/metrics").text.splitlines() if "generation_tokens_total{" in line]
    assert {one.learner for one in asked.asked} == {0, 1}
    assert sum(one.tokens for one in asked.asked) == float(counted[0].split()[-1]) == 3 * len(asked.asked)
    assert all(one.asked_s < one.first_s <= one.ended_s for one in asked.asked)


def test_the_stored_ratios_are_what_the_simulation_says_now():
    for point in CLASS["points"]:
        now = simulate(speed=SPEEDS, **point["asked"])
        said = {name: getattr(now, name) for name in ("throughput", "tokens_per_s", "latency_s", "in_system")}
        said["to_first_s"] = now.to_first_s[0]
        ratio = {name: said[name] / measured for name, measured in point["measured"].items()}
        assert ratio == pytest.approx(point["ratio"], rel=0.01), f"{point['what']}: run benchmarks/class.py again"


def test_a_class_larger_than_the_measured_one_says_what_is_extrapolated():
    thirty, many = str(class_of(30)), str(class_of(300))
    assert "extrapolated" not in thirty.split("model in each")[0] and "measured with 32, extrapolated to 300" in many
    kernel = next(row for row in CLASS["rows"] if row["shared"] and row["learners"] == 32)["kernel_bytes"]
    whole = 300 * (kernel + CLASS["jupyter_bytes"]) + CLASS["endpoint"]["bytes"]
    assert in_bytes(whole) in many and "not measured" in many

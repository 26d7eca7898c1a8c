"""benchmarks/runtimes: the race's table, its goals, and figures that are not published."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from course.runtimes.results import Result, Results

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def runtimes(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import runtimes

    yield runtimes
    for name in [name for name in sys.modules if name.split(".")[0] in ("runtimes", "measure")]:
        del sys.modules[name]


def ran(name: str, writes: float, **more) -> Result:
    shown = {"reads": (writes * 5,) * 3, "perplexity": 20.0, "agreement": 0.75, "start_s": 0.5} | more
    return Result(name, size_bytes=10**8, resident_bytes=2 * 10**8, writes=(writes - 1, writes, writes + 1), **shown)


@pytest.fixture
def found(runtimes):
    own, peer = ran(runtimes.DEFAULT, 150.0), ran(runtimes.PEER, 100.0)
    full = ran(runtimes.REFERENCE, 30.0, perplexity=19.0, agreement=1.0)
    return Results((own, peer, full, Result("qnn", absent="a Snapdragon")), "3 rounds.", 0.05)


def test_quality_stands_beside_speed_and_the_default_is_marked(runtimes, found):
    rows = runtimes.table(found).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        f"**{runtimes.DEFAULT}** (the default)", runtimes.PEER, runtimes.REFERENCE
    ]  # fmt: skip
    assert runtimes.about(found).endswith("Other programs used 5% of a core. Not raced here: qnn.")
    assert "| 150 (149 to 151) | 750 (750 to 750) |" in rows[0] and rows[0].endswith("| 20.00 | 75.0% |")


def test_the_goals_are_ratios_of_medians_and_those_without_a_peer_are_left_out(runtimes, found):
    goals = {"perplexity_vs_fp32": 20 / 19, "top1_agreement": 0.75}
    assert runtimes.goals(found) == goals | {"decode_vs_llama_cpp": 1.5, "prefill_vs_llama_cpp": 1.5}
    without = replace(found, results=tuple(one for one in found if one.name != runtimes.PEER))
    assert runtimes.goals(without) == goals


def test_figures_of_a_busy_machine_are_not_published(runtimes, found, tmp_path, monkeypatch):
    monkeypatch.setattr(runtimes, "TABLE", tmp_path / "README.md")
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        runtimes.publish(replace(found, others_cores=0.5))
    assert not list(tmp_path.iterdir())

"""benchmarks/runtimes: the race's table, its goals, and figures that are not published."""

import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def runtimes(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS.parent))
    import runtimes

    yield runtimes
    for name in [name for name in sys.modules if name.split(".")[0] in ("runtimes", "contestants", "measure")]:
        del sys.modules[name]


def racer(runtimes, name: str, writes: float, **more):
    shown = {"reads": [writes * 5] * 3, "perplexity": 20.0, "favourites": [1, 2, 3, 4], "start_s": 0.5} | more
    return runtimes.Racer(name, None, size_bytes=10**8, writes=[writes - 1, writes, writes + 1], **shown)


@pytest.fixture
def racers(runtimes):
    return [
        racer(runtimes, runtimes.PEER, 100.0),
        racer(runtimes, runtimes.FULL, 30.0, perplexity=19.0),
        racer(runtimes, runtimes.DEFAULT, 150.0, favourites=[1, 2, 3, 5]),
    ]


def test_the_fastest_stands_first_and_quality_beside_its_speed(runtimes, racers):
    rows = runtimes.table(racers).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        f"**{runtimes.DEFAULT}** (the default)", runtimes.PEER, runtimes.FULL
    ]  # fmt: skip
    assert "| 150 (149 to 151) | 750 (750 to 750) |" in rows[0] and rows[0].endswith("| 20.00 | 75.0% |")


def test_the_goals_are_ratios_of_medians(runtimes, racers):
    assert runtimes._goals({one.name: one for one in racers}) == {
        "perplexity_vs_fp32": 20 / 19, "top1_agreement": 0.75, "decode_vs_llama_cpp": 1.5, "prefill_vs_llama_cpp": 1.5
    }  # fmt: skip


def test_without_the_peer_its_ratios_are_left_out(runtimes, racers):
    assert runtimes._goals({one.name: one for one in racers[1:]}).keys() == {"perplexity_vs_fp32", "top1_agreement"}


def test_a_table_takes_the_place_of_the_one_before(runtimes, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(f"# Head\n{runtimes.MARKS[0]}\nold\n{runtimes.MARKS[1]}\ntail\n")
    monkeypatch.setattr(runtimes, "TABLE", page)
    runtimes.publish("new", used=0.0)
    assert page.read_text() == f"# Head\n{runtimes.MARKS[0]}\nnew\n{runtimes.MARKS[1]}\ntail\n"
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        runtimes.publish("newer", used=0.5)
    assert "new\n" in page.read_text() and "newer" not in page.read_text()


def test_the_readme_has_the_place_for_the_table():
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert page.count("<!-- runtimes: written by") == 1 == page.count("<!-- end of runtimes -->")


def test_every_contestant_has_a_name_of_its_own_and_a_package(runtimes):
    contestants = runtimes.contestants
    assert {runtimes.DEFAULT, runtimes.FULL, runtimes.PEER} <= contestants.names().keys()
    assert all(contestants.package_of(name) for name in contestants.names())


def test_a_contestant_that_is_not_installed_says_what_to_install(runtimes, tmp_path, monkeypatch):
    """The package is hidden from the child: a folder of that name without anything in it comes first."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('hidden')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path, BENCHMARKS.parent))))
    found = runtimes.started(runtimes.PEER)
    found.warm_up([1, 2, 3])
    assert found.absent == "xllamacpp"
    found.process.stdin.close()
    assert found.process.wait(20) == 0


def test_the_built_in_one_reads_writes_and_judges(runtimes, bundled):
    own = runtimes.started(runtimes.DEFAULT)
    ids = bundled.format.ids("The capital of France is Paris, and that of Spain is Madrid.")
    own.warm_up(ids)
    own.run(ids * 3, written=4)
    own.judge(ids)
    assert own.reads[0] > 0 and own.writes[0] > 0 and own.resident_bytes > own.size_bytes / 4
    assert own.favourites == bundled.favourites("The capital of France is Paris, and that of Spain is Madrid.")[:-1]
    assert 1 < own.perplexity < 100
    own.process.stdin.close()
    assert own.process.wait(20) == 0

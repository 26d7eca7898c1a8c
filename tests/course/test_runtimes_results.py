"""runtimes.results: medians, order, what is said of those that didn't run, and figures that are not published."""

import sys
from pathlib import Path

import pytest

from course.runtimes import results, shortlist
from course.runtimes.results import Result, Results

RAN = Result(
    "llama.cpp", version="1.0", start_s=0.5, size_bytes=98_000_000, token_bytes=96_000_000, resident_bytes=250_000_000,
    reads=(500.0, 300.0, 400.0), writes=(90.0, 110.0, 99.0), perplexity=18.7, agreement=0.966,
)  # fmt: skip
ABSENT = Result("openvino", absent="OpenVINO isn't installed here.")
ENDED = Result("mlx", fault="mlx ended (signal 11): it said nothing.")
FOUND = Results((RAN, ABSENT, ENDED), "3 rounds.", 0.071)


def test_only_those_that_ran_have_a_row_and_the_others_a_line():
    assert FOUND.rows() == [
        ("llama.cpp", "99 (90 to 110)", "400 (300 to 500)", "0.5 s", "250 MB", "98.0 MB", "18.70", "96.6%")
    ]
    for shown in (str(FOUND), FOUND._repr_html_()):
        assert ABSENT.absent in shown.replace("&#x27;", "'") and ENDED.fault in shown
        assert "3 rounds. Other programs used 7% of a core." in shown


def ran(name, writes, reads, loss=0.0, token_bytes=98_000_000):
    speeds = {"writes": (writes,), "reads": (reads,), "token_bytes": token_bytes}
    return Result(name, loss=loss, start_s=1.0, agreement=0.9, **speeds)


def test_the_verdict_names_the_fastest_those_too_close_to_tell_and_the_fastest_that_is_as_good():
    coarse, good, near = ran("int4", 150.0, 450.0, 0.3), ran("q4", 100.0, 500.0), ran("int8", 97.0, 300.0)
    assert Results((coarse, good), "", 0.0).verdict() == (
        "int4 writes fastest. int4 and q4 read fastest, too close to tell. Of those that are as good as fp32, "
        "q4 writes fastest."
    )
    assert "q4 and int8 write fastest, too close to tell." in Results((good, near), "", 0.0).verdict()
    unknown = ran("ollama", 120.0, 100.0, None)
    assert Results((coarse, unknown, good), "", 0.0).verdict().endswith("as good as fp32, q4 writes fastest.")
    assert "as good" not in Results((coarse, unknown), "", 0.0).verdict(), "what nobody measured is not good"
    assert Results((coarse,), "", 0.0).verdict() == "int4 writes fastest. int4 reads fastest."


def test_a_busy_machine_names_no_winner():
    busy = Results((ran("q4", 100.0, 500.0), ran("int8", 50.0, 300.0)), "3 rounds.", 0.6)
    assert busy.verdict() == busy.busy and "too busy to conclude" in busy.busy and "q4" not in busy.busy


def test_a_recorded_row_stands_where_a_runtime_is_missing_is_labelled_and_never_the_fastest():
    name = next(iter(results.recorded()))
    missing = Result(name, absent=f"{name} isn't installed here.")
    found = Results((ran("q4", 0.1, 0.1), results.with_recorded(missing)), "", 0.0)
    assert found.rows()[1][0] == f"{name} (recorded)" and found[name].absent == missing.absent
    assert f"Recorded by benchmarks/runtimes.py: {name} 20" in str(found) and missing.absent in str(found)
    assert found.fastest("reads") == ["q4"]
    assert results.with_recorded(RAN) == RAN, "what ran here is shown as it ran"


def test_the_shortlist_has_what_fits_in_time_and_score_by_the_best_runtime_that_lost_little():
    coarse, good = ran("int4", 1000.0, 1000.0, 0.3), ran("onnx q4", 100.0, 500.0)
    race = Results((coarse, good), "", 0.0)
    job = {"machine": "laptop", "read": 100, "write": 10}
    every, some = shortlist(race, most_s=1000, **job), shortlist(race, most_s=1000, least=69, **job)
    names = [row[0] for row in every.rows]
    assert "SmolLM2-135M-Instruct" in names and "Phi-3.5-MoE-instruct" not in names, "a laptop can't hold 42 billion"
    assert {row[0] for row in some.rows} < set(names) and all(row[1] >= 69 for row in some.rows)
    assert "Estimated from onnx q4" in str(every)
    assert "Nothing fits" in str(shortlist(race, most_s=0.01, **job))
    own = next(row for row in every.rows if row[0].startswith("SmolLM2"))
    assert own[-1] == "0 s", "100 tokens at 500, 10 at 100, with fewer bytes"
    full = Results((ran("onnx fp32", 10.0, 5000.0, 0.0, 538_060_032),), "", 0.0)
    timed = {row[0]: row[-1] for row in shortlist(full, machine="laptop", read=1, write=1000, most_s=1000).rows}
    assert timed["SmolLM2-135M-Instruct"] == "16 s", "int4 reads a sixth of the bytes of fp32"


def test_figures_of_a_busy_machine_are_not_published(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import runtimes

    monkeypatch.setattr(runtimes, "TABLE", tmp_path / "README.md")
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        runtimes.publish(Results((ABSENT,), "3 rounds.", 0.5))
    assert not list(tmp_path.iterdir())
    for name in [name for name in sys.modules if name.split(".")[0] in ("runtimes", "measure")]:
        del sys.modules[name]

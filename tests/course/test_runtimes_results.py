"""runtimes.results: medians, order, what is said of those that didn't run, and figures that are not published."""

import sys
from pathlib import Path

import pytest

from course.runtimes import bandwidth, results
from course.runtimes.results import Result, Results
from slmlab.measure import read_rates

RAN = Result(
    "llama.cpp", version="1.0", start_s=0.5, size_bytes=98_000_000, token_bytes=96_000_000, resident_bytes=250_000_000,
    reads=(500.0, 300.0, 400.0), writes=(90.0, 110.0, 99.0), perplexity=18.7, agreement=0.966,
)  # fmt: skip
ABSENT = Result("openvino", absent="python -m pip install openvino-genai")
ENDED = Result("mlx", fault="mlx ended (signal 11): it said nothing.")
FOUND = Results((RAN, ABSENT, ENDED), "3 rounds.", 0.071)


def test_only_those_that_ran_have_a_row_and_the_others_a_line():
    assert FOUND.rows() == [
        ("llama.cpp", "99 (90 to 110)", "400 (300 to 500)", "0.5 s", "250 MB", "98.0 MB", "18.70", "96.6%")
    ]
    for shown in (str(FOUND), FOUND._repr_html_()):
        assert f"openvino isn't here: {ABSENT.absent}" in shown.replace("&#x27;", "'") and ENDED.fault in shown
        assert "3 rounds. Other programs used 7% of a core." in shown


def test_bandwidth_reads_every_size_with_every_number_of_threads(monkeypatch):
    rates = read_rates(1_000_000, 2, runs=2)
    assert len(rates) == 2 and 1e8 < min(rates) < 1e13
    rows = bandwidth((1_000_000, 4_000_000), (1, 2), runs=2).rows
    assert [row[:2] for row in rows] == [(f"{size}.00 MB", threads) for size in (1, 4) for threads in (1, 2)]
    monkeypatch.setattr(results, "read_rates", lambda size_bytes, threads, runs: [40e9, 45e9, 42e9])
    shown = str(bandwidth([64_000_000], [2]))
    assert shown.splitlines()[1].split() == ["64.0", "MB", "2", "42.0", "GB", "45.0", "GB"], "the median and the best"


def test_figures_of_a_busy_machine_are_not_published(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import runtimes

    monkeypatch.setattr(runtimes, "TABLE", tmp_path / "README.md")
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        runtimes.publish(Results((ABSENT,), "3 rounds.", 0.5))
    assert not list(tmp_path.iterdir())
    for name in [name for name in sys.modules if name.split(".")[0] in ("runtimes", "measure")]:
        del sys.modules[name]

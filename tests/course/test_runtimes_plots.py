"""The numbers and the structure of the picture of a race; how it looks is for eyes."""

from dataclasses import replace

import pytest
from matplotlib.colors import to_hex

from course.runtimes import plots as runtime_plots
from course.runtimes.results import Result, Results
from slmlab.plots import style as drawing
from tests.course.conftest import named

pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def ran(name, writes, reads, perplexity, loss, token_bytes=100_000_000):
    return Result(
        name, None, None, None, "1.0", 0.5, 10**8, token_bytes, 3 * 10**8, (reads,), (writes,), perplexity, 0.9, loss
    )


FULL = ran("onnx fp32", 40.0, 400.0, 20.0, 0.0, 500_000_000)
GOOD, COARSE = ran("onnx q4", 100.0, 500.0, 20.1, 0.005), ran("onnx int4", 150.0, 450.0, 26.0, 0.3)
ABSENT, ENDED = Result("qnn", absent="a Snapdragon"), Result("mlx", fault="mlx ended")
FOUND = Results((COARSE, GOOD, FULL, ABSENT, ENDED), "3 rounds.", 0.05)


def widths(figure, column):
    return [bar.get_width() for bar in figure.ax.patches if bar.get_gid() == column]


def test_every_runtime_is_a_row_and_those_that_did_not_run_are_grey():
    figure = runtime_plots.race(FOUND)
    labels = figure.ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["onnx int4", "onnx q4", "onnx fp32", "qnn", "mlx"]
    assert [to_hex(label.get_color()) == drawing.GREY for label in labels] == [False] * 3 + [True] * 2
    assert named(figure)[-2:] == ["not installed", "ended before its time"]


def test_bars_are_as_long_as_their_figures_within_a_column():
    figure = runtime_plots.race(FOUND)
    writes = widths(figure, "writes")
    assert [one / writes[0] for one in writes] == pytest.approx([1, 100 / 150, 40 / 150])
    assert {"150", "500", "100 MB", "+30%", "as fp32"} <= set(named(figure))


def test_with_a_bandwidth_each_has_the_tick_of_its_own_limit():
    figure = runtime_plots.race(FOUND, 50e9)
    ticks = [line.get_xdata()[0] for line in figure.ax.lines if line.get_gid() == "limit"]
    assert [one / ticks[0] for one in ticks] == pytest.approx([1, 1, 0.2]), "500 tokens/s of 100 MB, 100 of 500 MB"
    assert "Nearest to what the memory allows is onnx fp32, at 40%" in figure.caption


def test_the_caption_is_the_verdict_and_a_busy_machine_has_no_limits():
    assert runtime_plots.race(FOUND).caption == FOUND.verdict()
    busy = replace(FOUND, others_cores=1.0)
    assert runtime_plots.race(busy, 50e9).caption == busy.busy


def test_recorded_bars_are_hatched_and_have_no_limit():
    known = replace(GOOD, name="openvino", recorded="2026-11-29, 2 cores", absent="not here")
    figure = runtime_plots.race(Results((FULL, known), "", 0.0), 50e9)
    assert [bar.get_hatch() for bar in figure.ax.patches if bar.get_gid() == "writes"] == [None, "///"]
    assert len([line for line in figure.ax.lines if line.get_gid() == "limit"]) == 1
    assert [label.get_text() for label in figure.ax.get_yticklabels()] == ["onnx fp32", "openvino (recorded)"]


def test_without_fp32_perplexity_stands_as_it_is_and_unknown_is_a_question_mark():
    unknown = replace(COARSE, perplexity=None, loss=None, name="ollama")
    unscored = Results((replace(GOOD, loss=None), unknown), "", 0.0)
    figure = runtime_plots.race(unscored)
    assert {"20.1", "?", "perplexity"} <= set(named(figure))

"""The numbers and the structure of the plots; how they look is for eyes."""

import math
import re
from io import BytesIO
from types import SimpleNamespace

import matplotlib
import pytest
from PIL import Image

matplotlib.use("agg")

from matplotlib import pyplot
from matplotlib.figure import Figure

from slmlab import catalog, plots
from slmlab.chat import TokenPiece
from slmlab.errors import BadRequest
from slmlab.machine import Machine, will_it_fit
from slmlab.plots import style as drawing
from slmlab.records import End, Metrics, Reply, Start, Token, TokenProbability

LAPTOP = Machine(ram_total_bytes=8_000_000_000, ram_available_bytes=5_000_000_000)


pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def reply(model="tiny", times=(10.5, 10.6, 10.7)) -> Reply:
    def events():
        yield Start(10.0, 5)
        yield from (Token(id, "a", time_s) for id, time_s in enumerate(times))
        yield End(times[-1] if times else 10.1, "end")

    return Reply(events, model)


def words(ax) -> str:
    return " | ".join(text.get_text() for text in ax.texts)


def rows(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(ax, gid=None) -> list[float]:
    return [bar.get_width() for bar in ax.patches if gid is None or bar.get_gid() == gid]


def next_tokens(*pairs):
    return [TokenProbability(id, text, share) for id, (text, share) in enumerate(pairs)]


def score(model, benchmark, value, publisher="one card"):
    return SimpleNamespace(model=model, benchmark=benchmark, value=value, publisher=publisher)


def png(ax) -> bytes:
    file = BytesIO()
    ax.figure.savefig(file, format="png")
    return file.getvalue()


EVERY_PLOT = {
    "timeline": lambda ax=None: plots.timeline(reply(), ax=ax),
    "sizes": lambda ax=None: plots.sizes(catalog.cards().values(), ax=ax),
    "memory": lambda ax=None: plots.memory(will_it_fit("phi-3.5-mini", machine=LAPTOP), LAPTOP, ax=ax),
    "benchmarks": lambda ax=None: plots.benchmarks(catalog.benchmarks(benchmark="MMLU"), ax=ax),
    "next": lambda ax=None: plots.next_tokens(next_tokens((" a", 0.6), ("\n", 0.4)), ax=ax),
    "speeds": lambda ax=None: plots.speeds({"int8": [200, 210], "fp32": 80.0}, limit={"int8": 300}, ax=ax),
    "strip": lambda ax=None: plots.token_strip([TokenPiece(1, "Hi"), TokenPiece(2, " you")], ids=True, ax=ax),
    "pictures": lambda ax=None: plots.pictures([Image.new("RGB", (32, 32))] * 2, ax=ax),
}


@pytest.fixture(params=EVERY_PLOT)
def draw(request):
    return EVERY_PLOT[request.param]


def test_every_public_plot_is_drawn_here():
    assert len(EVERY_PLOT) == len(plots.__all__) - 1, "all but caption"


def test_every_plot_has_one_sentence_under_it_and_nothing_is_cut_off(draw):
    ax = draw()
    ax.figure.draw_without_rendering()
    (drawn,) = ax.figure.texts
    sentence, page = plots.caption(ax), ax.figure.bbox
    assert sentence.endswith(".") and len(sentence) > 15 and drawn.get_text().replace("\n", " ") == sentence
    assert drawn.get_window_extent().y1 < ax.get_tightbbox().y0
    for box in (ax.get_tightbbox(), drawn.get_window_extent()):
        assert box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1


def test_every_plot_is_readable_from_the_back_row(draw):
    ax = draw()
    texts = [*ax.texts, *ax.figure.texts, *ax.get_xticklabels(), *ax.get_yticklabels()]
    texts += ax.get_legend().get_texts() if ax.get_legend() else []
    assert min(text.get_fontsize() for text in texts) >= 12
    assert ax.figure.get_size_inches()[0] == 8


def test_every_plot_gives_the_same_png_twice_and_leaves_the_readers_settings_alone(draw):
    from IPython.core.pylabtools import print_figure

    before = dict(matplotlib.rcParams)
    first, second = png(draw()), png(draw())
    assert first == second and b"Software" not in first, "stored lessons don't change with matplotlib's version"
    assert dict(matplotlib.rcParams) == before
    assert b"Software" not in print_figure(draw().figure, fmt="png"), "as a notebook shows it"


def test_every_plot_draws_on_the_axes_it_is_given(draw):
    ax = Figure().subplots()
    assert draw(ax=ax) is ax and not pyplot.get_fignums(), "no figure of its own, nothing left in pyplot"
    draw(ax=ax)
    (own,) = [text for text in ax.texts if text.get_gid() == "slmlab-caption"]  # a second drawing replaces the first's
    ax.figure.draw_without_rendering()
    assert own.get_window_extent().y1 < ax.get_window_extent().y0, "it stands under the axes"


def test_what_cannot_be_drawn_is_refused_in_plain_words():
    for plot in (plots.timeline, plots.sizes, plots.benchmarks, plots.next_tokens, plots.token_strip, plots.pictures):
        with pytest.raises(BadRequest, match="nothing to draw"):
            plot([])
    for plot, words in (
        (lambda: plots.memory([], LAPTOP), "nothing to draw"),
        (lambda: plots.memory(will_it_fit("gpt-4", "int4", machine=LAPTOP)), "never published"),
        (lambda: plots.speeds({}), "nothing to draw"),
        (lambda: plots.speeds({"int8": []}), "measurement of int8"),
        (lambda: plots.speeds({"int8": 20, "int4": None}), "The speed of int4 is None"),
        (lambda: plots.speeds({"int4": math.nan}), "The speed of int4 is nan"),
        (lambda: plots.speeds({"int4": reply(times=(10.5,))}), "The speed of int4 is None"),
        (lambda: plots.timeline(reply(times=())), "no tokens with times"),
        (lambda: plots.sizes([catalog.card("gpt-4")]), "published size"),
        (lambda: plots.pictures([Image.new("RGB", (32, 32))], ["a", "b"]), "as many names as pictures"),
        (lambda: plots.caption(Figure().subplots()), "no caption"),
    ):
        with pytest.raises(BadRequest, match=words):
            plot()
    assert not pyplot.get_fignums(), "a refusal leaves no empty figure"


def test_timeline_marks_each_token_at_its_time_since_the_request():
    ax = plots.timeline(reply(times=(10.5, 10.6, 10.8)))
    strokes = ax.collections[0].get_segments()
    assert [round(float(stroke[0][0]), 6) for stroke in strokes] == [0.5, 0.6, 0.8]
    assert [round(width, 6) for width in widths(ax, "wait")] == [0.5]
    assert "first token 0.50\xa0s" in words(ax) and "3 tokens\n7 per s" in words(ax)
    assert plots.caption(ax).startswith("tiny shows its first token after 0.50\xa0s, then one every 0.15\xa0s")


def test_timeline_compares_several_replies_as_rows_and_one_token_has_no_pace():
    ax = plots.timeline({"int8": reply(times=(10.2, 10.9)), "int4": reply(times=(10.3, 10.4))})
    assert rows(ax) == ["int8", "int4"]
    assert "int8 shows its first token" in plots.caption(ax) and "int4 ends first" in plots.caption(ax)
    alone = plots.timeline(reply(times=(10.5,)))
    assert "per s" not in words(alone) and "its only one" in plots.caption(alone)


def test_sizes_shows_an_undisclosed_model_without_any_number():
    chosen = catalog.cards()
    ax = plots.sizes([chosen["gpt-4"], chosen["phi-3.5-mini"]])
    assert rows(ax) == ["phi-3.5-mini", "gpt-4"] and "undisclosed" in words(ax)
    assert len(ax.lines) == 1, "one dot: the model whose size is known"
    assert not re.search(r"1\.\d+T|rumour", words(ax) + plots.caption(ax))
    assert "gpt-4 was never published" in plots.caption(ax)


def test_sizes_joins_what_a_mixture_of_experts_uses_to_what_it_holds():
    chosen = catalog.cards()
    ax = plots.sizes([chosen["phi-3.5-moe"], chosen["phi-3.5-vision"]])
    joined = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    assert list(joined.get_xdata()) == [chosen["phi-3.5-moe"].active_parameters, chosen["phi-3.5-moe"].parameters]
    assert "6.64B active" in words(ax) and "41.9B total" in words(ax)
    assert words(ax).count("active") == 1, "a vision model is dense: its image part is no idle expert"
    assert ax.get_xscale() == "log"


def test_the_label_of_a_small_mixture_stays_clear_of_its_name():
    ax = plots.sizes(catalog.cards().values())
    ax.figure.draw_without_rendering()
    label = next(text for text in ax.texts if text.get_text() == "1.59M active")
    name = next(one for one in ax.get_yticklabels() if one.get_text() == "tiny-moe")
    assert label.get_window_extent().x0 > name.get_window_extent().x1


def test_memory_bars_add_up_to_what_a_precision_needs():
    report = will_it_fit("phi-3.5-mini", machine=LAPTOP)
    ax = plots.memory(report, LAPTOP)
    parts = [widths(ax, name) for name in ("weights", "KV cache", "runtime")]
    totals = [sum(part) * 1e9 for part in zip(*parts, strict=True)]
    assert totals == pytest.approx([fit.total_bytes for fit in report])
    assert rows(ax) == [fit.precision for fit in report]
    assert all(fit.verdict in words(ax) for fit in report)


def test_memory_draws_a_line_for_each_memory_that_the_machine_has():
    with_gpu = Machine(ram_total_bytes=16_000_000_000, vram_bytes=6_000_000_000)
    report = list(will_it_fit("phi-3.5-mini", machine=LAPTOP))
    plain, gpu = plots.memory(report, LAPTOP), plots.memory(report, with_gpu)
    assert sorted(float(one.get_segments()[0][0][0]) for one in plain.collections) == [5, 8]
    assert "GPU memory" not in words(plain) and "GPU memory 6.0\xa0GB" in words(gpu)
    assert plots.caption(plain).startswith("None fits") and plots.caption(gpu).startswith("3 of 4 fit in the 16.0")


def test_memory_of_several_models_names_them_and_says_what_is_undisclosed():
    fits = [fit for name in ("smollm2-135m", "gpt-4") for fit in will_it_fit(name, "int4", machine=LAPTOP)]
    ax = plots.memory(fits, LAPTOP)
    assert rows(ax) == ["smollm2-135m · int4", "gpt-4 · int4"] and "size undisclosed" in words(ax)
    assert plots.caption(ax).startswith("1 of 1 fit in the 5.0\xa0GB")


def test_benchmarks_gives_each_model_a_shape_and_a_colour_of_its_own():
    models = [f"model {number}" for number in range(9)]
    ax = plots.benchmarks([score(model, "MMLU", 50.0) for model in models])
    marks = {(line.get_marker(), line.get_markerfacecolor()) for line in ax.lines}
    assert len(marks) == 9 and len({mark for mark, _ in marks}) == 9, "shapes alone tell nine models apart"
    assert len({float(line.get_ydata()[0]) for line in ax.lines}) == 9, "equal scores don't hide each other"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == models


def test_benchmarks_draws_a_second_source_hollow_and_says_where_sources_disagree():
    table = [score("a", "MMLU", 69.0), score("b", "MMLU", 60.0), score("a", "MMLU", 65.5, "another card")]
    ax = plots.benchmarks(table)
    assert [line.get_markerfacecolor() == "white" for line in ax.lines] == [False, False, True]
    assert "a has 69 or 65.5" in plots.caption(ax) and "another card" in plots.caption(ax)


def test_next_tokens_shows_spaces_and_line_ends():
    ax = plots.next_tokens(next_tokens((" Paris", 0.62), ("\n", 0.052), ("$x$", 0.0004)))
    assert rows(ax) == ["␣Paris", "⏎", "$x$"]
    assert widths(ax) == [0.62, 0.052, 0.0004] and words(ax) == "62% | 5.2% | < 0.1%"
    assert plots.caption(ax) == "“␣Paris” comes next with 62%; these 3 tokens hold 67% of all probability."


def test_next_tokens_compares_before_and_after_by_id():
    before = next_tokens((" Paris", 0.6), (" the", 0.1))
    ax = plots.next_tokens(before, after=[TokenProbability(0, " Paris", 1.0)])
    assert widths(ax) == [0.6, 0.1, 1.0, 0.0] and "cut" in words(ax)
    hatches = [bar.get_hatch() for bar in ax.patches]
    assert hatches[:2] != hatches[2:], "colour is not the only difference"
    assert plots.caption(ax).endswith("from 60% to 100% after the settings, and 1 of these 2 tokens are left.")


def test_characters_that_the_font_lacks_are_written_as_codes_and_warn_nobody():
    ax = plots.next_tokens(next_tokens(("你", 0.4), ("ก", 0.3), ("🚀", 0.1), ("\ud83d", 0.1), ("\x07", 0.1)))
    assert rows(ax) == ["\\u4f60", "\\u0e01", "\\U0001f680", "\\ud83d", "\\x07"]
    png(ax)  # warnings are errors here
    png(plots.token_strip([TokenPiece(1, "你"), TokenPiece(2, "😀"), TokenPiece(3, "\ufffd"), TokenPiece(4, "")]))


def test_speeds_takes_figures_metrics_replies_and_several_runs():
    metrics = Metrics(5, 3, 0.5, 10.0, 40.0, 1.0)
    ax = plots.speeds({"a": [30, 10, 20], "b": metrics, "c": reply(times=(10.5, 10.6, 10.7)), "d": 80})
    ends = [float(one.get_segments()[0][1][0]) for one in ax.collections]
    assert ends == pytest.approx([20, 40, 10, 80]), "the median of several, the rate of the others"
    assert "d is fastest here, with 80 tokens per second" in plots.caption(ax)


def test_speeds_draws_the_limit_for_all_or_for_each():
    one = plots.speeds({"a": 50, "b": 25}, limit=100)
    assert "50% of what reading its weights" in plots.caption(one)
    each = plots.speeds({"a": 50, "b": 25}, limit={"b": 200})
    assert "%" not in plots.caption(each), "the fastest has no limit to be compared with"
    assert len(one.collections) == len(each.collections) + 1
    assert one.get_legend() and plots.speeds({"a": 1}).get_legend() is None


def test_token_strip_puts_every_token_in_a_box_and_wraps():
    pieces = [TokenPiece(number, " token") for number in range(30)]
    ax = plots.token_strip(pieces)
    boxes = [box.get_bbox() for box in ax.patches]
    assert len(boxes) == 30 and max(box.x1 for box in boxes) <= ax.get_xlim()[1]
    assert len({round(box.y0) for box in boxes}) == 4 and ax.get_ylim()[0] == 4
    assert plots.caption(ax) == "30 tokens, a box each; ␣ is a space."


def test_token_strip_writes_ids_when_asked_and_shortens_what_is_endless():
    ax = plots.token_strip([TokenPiece(128_000, "x" * 500)], ids=True)
    assert "128000" in words(ax) and "…" in words(ax) and plots.caption(ax) == "One token."


def test_a_tokens_dollar_signs_are_no_mathematics():
    assert not any(text.get_parse_math() for text in plots.token_strip([TokenPiece(1, "$x$")]).texts)


def test_words_for_numbers_read_as_people_say_them():
    counts = {134_515_008: "135M", 3.821e9: "3.82B", 41.873e9: "41.9B", 1.76e12: "1.76T", 950: "950"}
    shares = {0: "cut", 0.0002: "< 0.1%", 0.012: "1.2%", 0.1: "10%", 0.999: "100%"}
    times = {0.0045: "4.5\xa0ms", 0.0992: "99\xa0ms", 0.0999: "0.10\xa0s", 0.5: "0.50\xa0s", 12.0: "12\xa0s"}
    sizes = {259e6: "259\xa0MB", 2.39e9: "2.4\xa0GB", 258e9: "258\xa0GB"}
    for say, known in (
        (drawing.count, counts),
        (drawing.percent, shares),
        (drawing.seconds, times),
        (drawing.gigabytes, sizes),
    ):
        assert {number: say(number) for number in known} == known

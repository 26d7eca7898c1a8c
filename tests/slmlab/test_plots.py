"""The numbers and the structure of the plots; how they look is for eyes."""

from io import BytesIO
from types import SimpleNamespace

import matplotlib
import pytest

matplotlib.use("agg")

from matplotlib import pyplot

from slmlab import catalog, plots
from slmlab.chat import TokenPiece
from slmlab.errors import BadRequest
from slmlab.machine import Machine, will_it_fit
from slmlab.plots import style as drawing
from slmlab.records import End, Metrics, Reply, Start, Token, TokenProbability

LAPTOP = Machine(ram_total_bytes=8_000_000_000, ram_available_bytes=5_000_000_000)


pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def reply(model="tiny", times=(10.5, 10.6, 10.7)) -> Reply:
    events = [Start(10.0, 5), *(Token(id, "a", time_s) for id, time_s in enumerate(times)), End(11.0, "end")]
    return Reply(lambda: (one for one in events), model)


def words(ax) -> str:
    return " | ".join(text.get_text() for text in ax.texts)


def rows(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(ax) -> list[float]:
    return [bar.get_width() for bar in ax.patches]


def next_tokens(*pairs):
    return [TokenProbability(id, text, share) for id, (text, share) in enumerate(pairs)]


def score(model, benchmark, value, publisher="one card"):
    return SimpleNamespace(model=model, benchmark=benchmark, value=value, publisher=publisher)


def png(ax) -> bytes:
    file = BytesIO()
    ax.figure.savefig(file, format="png")
    return file.getvalue()


EVERY_PLOT = {
    "timeline": lambda: plots.timeline(reply()),
    "sizes": lambda: plots.sizes(catalog.cards().values()),
    "memory": lambda: plots.memory(will_it_fit("phi-3.5-mini", machine=LAPTOP)),
    "benchmarks": lambda: plots.benchmarks(catalog.benchmarks(benchmark="MMLU")),
    "next": lambda: plots.next_tokens(next_tokens((" a", 0.6), ("\n", 0.4))),
    "speeds": lambda: plots.speeds({"int8": 200, "fp32": 80.0}, limit={"int8": 300}),
    "strip": lambda: plots.token_strip([TokenPiece(1, "Hi"), TokenPiece(2, " you")], ids=True),
}


@pytest.mark.parametrize("name", EVERY_PLOT)
def test_every_plot_is_whole_readable_and_the_same_twice(name):
    from IPython.core.pylabtools import print_figure

    before = dict(matplotlib.rcParams)
    ax = EVERY_PLOT[name]()
    assert dict(matplotlib.rcParams) == before, "the reader's settings stay"
    ax.figure.draw_without_rendering()
    (drawn,) = ax.figure.texts
    sentence, page = plots.caption(ax), ax.figure.bbox
    assert sentence.endswith(".") and len(sentence) > 15 and drawn.get_text().replace("\n", " ") == sentence
    assert drawn.get_window_extent().y1 < ax.get_tightbbox().y0, "it stands under the axes"
    for box in (ax.get_tightbbox(), drawn.get_window_extent()):
        assert box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1, "nothing is cut off"
    texts = [*ax.texts, drawn, *ax.get_xticklabels(), *ax.get_yticklabels()]
    texts += ax.get_legend().get_texts() if ax.get_legend() else []
    assert min(text.get_fontsize() for text in texts) >= 12, "read from the back row"
    assert png(EVERY_PLOT[name]()) == png(EVERY_PLOT[name]())
    shown = print_figure(EVERY_PLOT[name]().figure, fmt="png")
    assert b"Software" not in shown, "stored lessons don't change with matplotlib's version"


def test_what_cannot_be_drawn_is_refused_in_plain_words():
    for plot in (plots.timeline, plots.sizes, plots.benchmarks, plots.next_tokens, plots.token_strip):
        with pytest.raises(BadRequest, match="nothing to draw"):
            plot({})
    with pytest.raises(BadRequest, match="never published"):
        plots.memory(will_it_fit("gpt-4", "int4", machine=LAPTOP))
    assert not pyplot.get_fignums(), "a refusal leaves no empty figure"


def test_timeline_marks_each_token_at_its_time_since_the_request():
    ax = plots.timeline(reply(times=(10.5, 10.6, 10.8)))
    strokes = ax.collections[0].get_segments()
    assert [round(float(stroke[0][0]), 6) for stroke in strokes] == [0.5, 0.6, 0.8]
    assert widths(ax) == [0.5] and "first token 0.50\xa0s" in words(ax) and "3 tokens\n7 per s" in words(ax)
    assert (
        plots.caption(ax)
        == "tiny shows its first token after 0.50\xa0s, then one every 0.15\xa0s: 3 tokens in 0.80\xa0s."
    )


def test_timeline_compares_several_replies_as_rows_and_one_token_has_no_pace():
    ax = plots.timeline({"int8": reply(times=(10.2, 10.9)), "int4": reply(times=(10.3, 10.4))})
    assert rows(ax) == ["int8", "int4"]
    assert "int8 shows its first token" in plots.caption(ax) and "int4 ends first" in plots.caption(ax)
    alone = plots.timeline(reply(times=(10.5,)))
    assert "per s" not in words(alone) and "its only one" in plots.caption(alone)


def test_sizes_joins_what_a_mixture_of_experts_uses_to_what_it_holds():
    chosen = catalog.cards()
    ax = plots.sizes([chosen["phi-3.5-moe"], chosen["phi-3.5-vision"]])
    joined = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    assert list(joined.get_xdata()) == [chosen["phi-3.5-moe"].active_parameters, chosen["phi-3.5-moe"].parameters]
    assert "6.64B active" in words(ax) and "41.9B total" in words(ax) and ax.get_xscale() == "log"
    assert words(ax).count("active") == 1, "a vision model is dense: its image part is no idle expert"


def test_sizes_shows_an_undisclosed_model_without_any_number():
    ax = plots.sizes([catalog.card("gpt-4"), catalog.card("phi-3.5-mini")])
    assert rows(ax) == ["phi-3.5-mini", "gpt-4"] and words(ax) == "3.82B | undisclosed"
    assert len(ax.lines) == 1, "one dot: the model whose size is known"
    assert plots.caption(ax).endswith("the size of gpt-4 was never published.")


def test_the_label_of_a_small_mixture_stays_clear_of_its_name():
    ax = plots.sizes(catalog.cards().values())
    ax.figure.draw_without_rendering()
    label = next(text for text in ax.texts if text.get_text() == "1.59M active")
    name = next(one for one in ax.get_yticklabels() if one.get_text() == "tiny-moe")
    assert label.get_window_extent().x0 > name.get_window_extent().x1


def test_memory_bars_add_up_to_what_a_precision_needs():
    report = will_it_fit("phi-3.5-mini", machine=LAPTOP)
    ax = plots.memory(report)
    parts = zip(*(widths(ax)[start :: len(report.fits)] for start in range(len(report.fits))), strict=True)
    totals = [sum(part) * 1e9 for part in zip(*parts, strict=True)]
    assert totals == pytest.approx([fit.total_bytes for fit in report])
    assert rows(ax) == [fit.precision for fit in report] and all(fit.verdict in words(ax) for fit in report)


def test_memory_draws_a_line_for_each_memory_that_the_machine_has():
    with_gpu = Machine(16_000_000_000, 16_000_000_000, vram_bytes=6_000_000_000, vram_free_bytes=6_000_000_000)
    plain, gpu = (plots.memory(will_it_fit("phi-3.5-mini", machine=one)) for one in (LAPTOP, with_gpu))
    assert sorted(float(one.get_segments()[0][0][0]) for one in plain.collections) == [5, 8]
    assert "GPU memory" not in words(plain) and "GPU memory 6.0\xa0GB" in words(gpu)
    assert plots.caption(plain).startswith("None fits") and plots.caption(gpu).startswith("3 of 4 fit in the 16.0")


def test_benchmarks_gives_each_model_a_shape_and_a_colour_of_its_own():
    models = [f"model {number}" for number in range(9)]
    ax = plots.benchmarks([score(model, "MMLU", 50.0) for model in models])
    dots = [line for line in ax.lines if len(line.get_xdata())]
    assert len({line.get_marker() for line in dots}) == 9, "shapes alone tell nine models apart"
    assert len({float(line.get_ydata()[0]) for line in dots}) == 9, "equal scores don't hide each other"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == models


def test_benchmarks_draws_a_second_source_hollow_and_says_where_sources_disagree():
    table = [score("a", "MMLU", 69.0), score("b", "MMLU", 60.0), score("a", "MMLU", 65.5, "another card")]
    ax = plots.benchmarks(table)
    assert [float(line.get_xdata()[0]) for line in ax.lines if line.get_color() == "white"] == [65.5]
    assert "by one card, another card" in plots.caption(ax) and "a has 69 or 65.5" in plots.caption(ax)


def test_next_tokens_shows_spaces_and_line_ends():
    ax = plots.next_tokens(next_tokens((" Paris", 0.62), ("\n", 0.052), ("$x$", 0.0004)))
    assert rows(ax) == ["␣Paris", "⏎", "$x$"] and not any(one.get_parse_math() for one in ax.get_yticklabels())
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


def test_speeds_takes_figures_and_metrics_and_limits_of_some():
    ax = plots.speeds({"a": Metrics(decode_tokens_per_s=40.0), "b": 50}, limit={"b": 100, "c": 7})
    assert [list(line.get_xdata()) for line in ax.lines] == [[40, 50], [100]] and words(ax) == "40 | 50"
    assert plots.caption(ax).startswith("b is fastest here, with 50 tokens per second: 50% of what reading its weights")
    bare = plots.speeds({"a": 1})
    assert bare.get_legend() is None and plots.caption(bare) == "a gives 1 tokens per second."


def test_token_strip_puts_every_token_in_a_box_and_wraps():
    ax = plots.token_strip([TokenPiece(number, " token") for number in range(30)])
    boxes = [box.get_bbox() for box in ax.patches]
    assert len(boxes) == 30 and max(box.x1 for box in boxes) <= ax.get_xlim()[1]
    assert len({round(box.y0) for box in boxes}) == 4 and ax.get_ylim()[0] == 4
    assert plots.caption(ax) == "30 tokens, a box each; ␣ is a space."


def test_token_strip_writes_ids_when_asked_and_shortens_what_is_endless():
    ax = plots.token_strip([TokenPiece(128_000, "$x$" * 500)], ids=True)
    assert "128000" in words(ax) and "…" in words(ax) and plots.caption(ax) == "One token."
    assert not any(text.get_parse_math() for text in ax.texts), "dollar signs are no mathematics"


def test_words_for_numbers_read_as_people_say_them():
    for say, known in (
        (drawing.count, {134_515_008: "135M", 3.821e9: "3.82B", 1.76e12: "1.76T", 950: "950"}),
        (drawing.percent, {0: "cut", 0.0002: "< 0.1%", 0.012: "1.2%", 0.1: "10%", 0.999: "100%"}),
        (drawing.seconds, {0.0045: "4.5\xa0ms", 0.0992: "99\xa0ms", 0.0999: "0.10\xa0s", 12.0: "12\xa0s"}),
        (drawing.gigabytes, {259e6: "259\xa0MB", 2.39e9: "2.4\xa0GB", 258e9: "258\xa0GB"}),
    ):
        assert {number: say(number) for number in known} == known

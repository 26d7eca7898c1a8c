"""The numbers and the structure of the plots; how they look is for eyes."""

from html import escape
from types import SimpleNamespace

import matplotlib
import pytest
from matplotlib import pyplot

from slmlab import catalog, plots
from slmlab.chat import TokenPiece
from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.records import End, Metrics, Reply, Start, Token, TokenProbability

pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def reply(model="tiny", times=(10.5, 10.6, 10.7)) -> Reply:
    events = [Start(10.0, 5), *(Token(id, "a", time_s) for id, time_s in enumerate(times)), End(11.0, "end")]
    return Reply(lambda: (one for one in events), model)


def words(figure) -> str:
    return " | ".join(text.get_text() for text in figure.ax.texts)


def rows(figure) -> list[str]:
    return [label.get_text() for label in figure.ax.get_yticklabels()]


def widths(figure) -> list[float]:
    return [bar.get_width() for bar in figure.ax.patches]


def next_tokens(*pairs):
    return [TokenProbability(id, text, share) for id, (text, share) in enumerate(pairs)]


def score(model, benchmark, value, publisher="one card"):
    return SimpleNamespace(model=model, benchmark=benchmark, value=value, publisher=publisher)


EVERY_PLOT = {
    "timeline": lambda: plots.timeline(reply()),
    "sizes": lambda: plots.sizes(list(catalog.cards().values())[:12]),
    "one shape": lambda: plots.architecture(catalog.card("gemma-3-1b")),
    "two shapes": lambda: plots.architecture(catalog.card("qwen3-30b-a3b"), catalog.card("gpt-oss-20b")),
    "benchmarks": lambda: plots.benchmarks(catalog.benchmarks(benchmark="MMLU")),
    "next": lambda: plots.next_tokens(next_tokens((" a", 0.6), ("\n", 0.4))),
    "speeds": lambda: plots.speeds({"int8": 200, "fp32": 80.0}, limit={"int8": 300}),
    "strip": lambda: plots.token_strip([TokenPiece(1, "Hi"), TokenPiece(2, " you")], ids=True),
}


@pytest.mark.parametrize("name", EVERY_PLOT)
def test_every_plot_is_whole_readable_and_the_same_twice(name):
    before = dict(matplotlib.rcParams)
    figure = EVERY_PLOT[name]()
    assert dict(matplotlib.rcParams) == before, "the reader's settings stay"
    ax, page = figure.ax, figure.ax.figure.bbox
    ax.figure.draw_without_rendering()
    assert figure.caption.endswith(".") and len(figure.caption) > 15 and len(figure.alt) > 10
    assert page.height <= 420 and not ax.figure.texts, "seen whole, without the caption in it"
    box = ax.get_tightbbox()
    assert box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1, "nothing is cut off"
    texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()]
    texts += ax.get_legend().get_texts() if ax.get_legend() else []
    assert min(text.get_fontsize() for text in texts) >= 11, "read from the back row"
    png = figure.png()
    assert png == EVERY_PLOT[name]().png() and len(png) < 80_000 and b"Software" not in png, "the same everywhere"


def test_a_figure_shows_itself_once_with_its_caption_as_text():
    figure = plots.next_tokens(next_tokens(("<你\ud83d", 0.6), ("b", 0.4)))
    shown = figure._repr_mimebundle_()
    assert shown["text/plain"] == repr(figure) == figure.caption and set(shown) == {"text/html", "text/plain"}
    assert "“&lt;你\\ud83d” comes next with 60%" in shown["text/html"].partition("<figcaption")[2]
    assert f'alt="{escape(figure.alt)}"' in shown["text/html"]
    assert figure.alt.startswith(f"{figure.caption} Rows: <"), "whoever can't see it hears the sentence and the parts"
    assert "data-jp-theme-light" in shown["text/html"], "a dark page turns it round"
    pictures = drawing.Figure(figure.ax, "", "", pictures=True)._repr_mimebundle_()["text/html"]
    assert "slmlab-plot" not in pictures.split("<img")[1], "but no picture"
    assert not pyplot.get_fignums(), "a notebook's backend doesn't draw it again"


def test_what_cannot_be_drawn_is_refused_in_plain_words():
    for plot in (plots.timeline, plots.sizes, plots.benchmarks, plots.next_tokens, plots.token_strip):
        with pytest.raises(BadRequest, match="nothing to draw"):
            plot({})
    with pytest.raises(BadRequest, match="never published"):
        plots.architecture(catalog.card("gpt-4"))


def test_timeline_marks_each_token_at_its_time_since_the_request():
    figure = plots.timeline(reply(times=(10.5, 10.6, 10.8)))
    strokes = figure.ax.collections[0].get_segments()
    assert [round(float(stroke[0][0]), 6) for stroke in strokes] == [0.5, 0.6, 0.8]
    assert widths(figure) == [0.5] and "first token 0.50 s" in words(figure) and "3 tokens\n7 per s" in words(figure)
    assert figure.caption == "The first token comes after 0.50 s, from tiny. tiny is done after 0.80 s."


def test_timeline_compares_several_replies_as_rows_and_one_token_has_no_pace():
    figure = plots.timeline({"int8": reply(times=(10.2, 10.9)), "int4": reply(times=(10.3,))})
    assert rows(figure) == ["int8", "int4"] and words(figure).count("per s") == 1
    assert figure.caption.endswith("0.20 s, from int8. int4 is done after 0.30 s, before the others.")


def test_sizes_joins_what_a_mixture_of_experts_uses_to_what_it_holds():
    chosen = catalog.cards()
    figure = plots.sizes([chosen["phi-3.5-moe"], chosen["phi-3.5-vision"]])
    joined = next(line for line in figure.ax.lines if len(line.get_xdata()) == 2)
    assert list(joined.get_xdata()) == [chosen["phi-3.5-moe"].active_parameters, chosen["phi-3.5-moe"].parameters]
    assert "6.64B active" in words(figure) and "41.9B total" in words(figure)
    assert words(figure).count("active") == 1, "a vision model is dense: its image part is no idle expert"


def test_sizes_shows_a_model_of_undisclosed_size_without_a_number():
    figure = plots.sizes(map(catalog.card, ("gpt-4", "phi-3.5-mini", "smollm2-135m")))
    assert rows(figure) == ["smollm2-135m", "phi-3.5-mini", "gpt-4"] and words(figure) == "135M | 3.82B | undisclosed"
    assert figure.caption.endswith("28.4 times as large as smollm2-135m. The size of gpt-4 was never published.")


def test_an_architecture_shows_its_layers_heads_experts_and_parts():
    figure = plots.architecture(catalog.card("gpt-oss-20b"), catalog.card("gemma-3-1b"))
    assert "24 layers, 12 see the last 128 tokens" in words(figure) and "KV heads: 1" in words(figure)
    boxes = [box.get_facecolor() for box in figure.ax.patches]
    assert len(boxes) == (24 + 64 + 32 + 1 + 4) + (26 + 4 + 1 + 1 + 3), "a tied table is one part"
    assert boxes[:24] == boxes[:2] * 12 != boxes[:1] * 24, "every second layer slides"
    assert sum(widths(figure)[121:125]) == pytest.approx(1), "the parts are all of it"
    assert figure.caption.endswith("Gemma-3-1b-it: embedding and output head 30%, attention 7.7%, feed-forward 62%.")


def test_benchmarks_gives_each_model_a_shape_and_a_colour_of_its_own():
    models = [f"model {number}" for number in range(9)]
    figure = plots.benchmarks([score(model, "MMLU", 50.0) for model in models])
    dots = [line for line in figure.ax.lines if len(line.get_xdata())]
    assert len({line.get_marker() for line in dots}) == 9, "shapes alone tell nine models apart"
    assert len({float(line.get_ydata()[0]) for line in dots}) == 9, "equal scores don't hide each other"
    assert [text.get_text() for text in figure.ax.get_legend().get_texts()] == models


def test_next_tokens_shows_spaces_and_line_ends():
    figure = plots.next_tokens(next_tokens((" Paris", 0.62), ("\n", 0.052), ("$x$", 0.0004)))
    assert rows(figure) == ["␣Paris", "⏎", "$x$"]
    assert not any(one.get_parse_math() for one in figure.ax.get_yticklabels())
    assert widths(figure) == [0.62, 0.052, 0.0004] and words(figure) == "62% | 5.2% | < 0.1%"
    assert figure.caption == "“␣Paris” comes next with 62%. These 3 tokens hold 67% of all probability."


def test_characters_that_the_font_lacks_are_written_as_codes_and_warn_nobody():
    figure = plots.next_tokens(next_tokens(("你", 0.4), ("ก", 0.3), ("🚀", 0.1), ("\ud83d", 0.1), ("\x07", 0.1)))
    assert rows(figure) == ["\\u4f60", "\\u0e01", "\\U0001f680", "\\ud83d", "\\x07"]
    figure.png()  # warnings are errors here
    plots.token_strip([TokenPiece(1, "你"), TokenPiece(2, "😀"), TokenPiece(3, "\ufffd"), TokenPiece(4, "")]).png()


def test_speeds_takes_figures_and_metrics_and_limits_of_some():
    figure = plots.speeds({"a": Metrics(decode_tokens_per_s=40.0), "b": 50}, limit={"b": 100, "c": 7})
    assert [list(line.get_xdata()) for line in figure.ax.lines] == [[40, 50], [100]] and words(figure) == "40 | 50"
    assert figure.caption.startswith("b is fastest here, with 50 tokens per second. That is 50% of what the speed")
    bare = plots.speeds({"a": 1})
    assert bare.ax.get_legend() is None and bare.caption == "a gives 1 tokens per second."


def test_token_strip_puts_every_token_in_a_box_and_wraps():
    figure = plots.token_strip([TokenPiece(number, " token") for number in range(30)])
    boxes = [box.get_bbox() for box in figure.ax.patches]
    assert len(boxes) == 30 and max(box.x1 for box in boxes) <= figure.ax.get_xlim()[1]
    assert len({round(box.y0) for box in boxes}) == 4 and figure.ax.get_ylim()[0] == 4
    assert figure.caption == "30 tokens, a box each. ␣ is a space."


def test_token_strip_writes_ids_when_asked_and_shortens_what_is_endless():
    figure = plots.token_strip([TokenPiece(128_000, "$x$" * 500)], ids=True)
    assert "128000" in words(figure) and "…" in words(figure) and figure.caption == "One token."
    assert not any(text.get_parse_math() for text in figure.ax.texts), "dollar signs are no mathematics"


def test_words_for_numbers_read_as_people_say_them():
    for say, known in (
        (drawing.count, {134_515_008: "135M", 3.821e9: "3.82B", 1.76e12: "1.76T", 950: "950"}),
        (drawing.percent, {0: "cut", 0.0002: "< 0.1%", 0.012: "1.2%", 0.1: "10%", 0.999: "100%"}),
        (drawing.seconds, {0.0045: "4.5 ms", 0.0992: "99 ms", 0.0999: "0.10 s", 12.0: "12 s"}),
    ):
        assert {number: say(number) for number in known} == known

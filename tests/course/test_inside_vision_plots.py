"""Plots of pictures and of what came of asking about them: numbers and structure; how they look is for eyes."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

from course.drawn import plots as drawn_plots
from course.drawn import scenes
from course.drawn.charts import Row
from course.drawn.scores import FormScore, Share
from course.inside import plots as inside_plots
from course.inside.vision import Gaze, Seen
from course.picture_tokens import image_tokens
from slmlab import plots
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from slmlab.plots import style as drawing

pytestmark = pytest.mark.usefixtures("drawn_cleanly")

BARS = scenes.bars([Row("Ann", 40, "red"), Row("Bo", 80, "green")])
PAIR = scenes.pair([Row("A", 1)], [Row("A", 2)])
LARGEST = next(one for one in BARS.questions if one.form == "bars/largest")
MORE = next(one for one in PAIR.questions if one.form == "pair/larger")


@pytest.fixture
def seen() -> Seen:
    """3 x 4 patches of 2 x 2 pixels; the left half is of one kind, the right half of another."""
    encoded = np.zeros((3, 4, 5))
    encoded[:, :2, 0], encoded[:, 2:, 1] = 1, 1
    pixels = np.full((6, 8, 3), 0.5)
    return Seen("tiny", as_picture(BARS.pictures[0]), pixels, encoded, np.zeros((3, 4, 7)))


@pytest.fixture
def gaze() -> Gaze:
    """Two pictures, three tokens; each looks at one patch with a half of its attention, layer 1 at another one."""
    weights = np.zeros((3, 2, 1, 2, 2, 2))
    for token, (row, column) in enumerate([(0, 0), (0, 1), (1, 0)]):
        weights[token, 0, :, 0, row, column] = 0.5
        weights[token, 1, :, 0, 1, 1] = 0.5
    picture = as_picture(BARS.pictures[0])
    return Gaze("tiny", (picture, picture), ("Bo", " 80", " =>"), weights)


def named(ax, gid=None) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_gid() == gid]


def score(form: str, right: int, asked: int = 200, ocr: Share | None = None) -> FormScore:
    return FormScore(form, "?", Share(right, asked), None, Share(10, 100), Share(60, 200), ocr)


# A picture and its patches


def test_every_patch_has_its_lines_and_the_first_of_each_row_and_column_its_number(seen):
    ax = inside_plots.patches(seen)
    assert named(ax, "patch") == ["1", "2", "3", "4", "5", "9"] and len(ax.lines) == 4 + 5
    places = [(text.get_position()[0] // 1, text.get_position()[1] // 1) for text in ax.texts[:6]]
    assert places == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2)], "counted as one reads"
    assert plots.caption(ax).startswith("8 x 6 pixels in 3 x 4 patches of 2 x 2: 12 tokens for tiny")


def test_numbers_can_be_left_out(seen):
    ax = inside_plots.patches(seen, numbers=False)
    assert not named(ax, "patch") and len(ax.lines) == 9


def test_what_the_encoder_made_stands_beside_the_picture_and_the_likeness(seen):
    ax = inside_plots.seen(seen, (1, 3))
    assert [image.get_array().shape[:2] for image in ax.images] == [(6, 8), (3, 4), (3, 4)]
    alike = np.asarray(ax.images[2].get_array())
    assert alike[:, 2:] == pytest.approx(1) and alike[:, :2] == pytest.approx(-1)
    assert named(ax) == ["the picture", "what the encoder makes of it", "alike to the marked patch"]
    marks = [one for one in ax.patches if one.get_linewidth() == 3]
    assert [(mark.get_x() % 1.12, mark.get_y()) for mark in marks] == [pytest.approx((0.75, 1 / 3))] * 2
    assert [(mark.get_width(), mark.get_height()) for mark in marks] == [(1 / 4, 1 / 3)] * 2
    assert "the marked patch, number 8; 50% of the patches are much like it" in plots.caption(ax)


@pytest.mark.parametrize("patch", [(3, 0), (0, 4), (-1, 0)])
def test_a_patch_that_is_not_there_cannot_be_marked(seen, patch):
    with pytest.raises(BadRequest, match=f"no patch at row {patch[0]}, column {patch[1]}: there are 3 x 4"):
        inside_plots.seen(seen, patch)


# Where a model looked


def brightest(image, rows=2) -> tuple[int, int]:
    light = np.asarray(image.get_array()).sum(-1)
    row, column = np.unravel_index(light.argmax(), light.shape)
    return int(row * rows // light.shape[0]), int(column * rows // light.shape[1])


def test_the_picture_is_lit_where_each_part_looked(gaze):
    ax = inside_plots.gaze(gaze, ["Bo", " 80", "=>"], layer=0)
    assert [brightest(image) for image in ax.images] == [(0, 0), (0, 1), (1, 0)]
    assert [brightest(image) for image in inside_plots.gaze(gaze, ["Bo", "=>"], layer=1).images] == [(1, 1)] * 2
    assert named(ax) == ["before Bo", "before 80", "before =>"]
    assert "(mean of the heads, layer 0)" in plots.caption(ax) and "50% before Bo" in plots.caption(ax)


def test_all_parts_are_lit_on_one_scale(gaze):
    gaze.weights[1] *= 0.25
    ax = inside_plots.gaze(gaze, ["Bo", " 80"], layer=0)
    lit = [np.asarray(image.get_array()) / (np.asarray(gaze.pictures[0].image) / 255).clip(0.01) for image in ax.images]
    assert [float(one.max()) for one in lit] == pytest.approx([1, 0.25 + 0.75 * 0.5]), "a quarter is half as bright"
    assert "the brightest patch has 50.0% of its attention" in plots.caption(ax)
    gaze.weights[:] /= 1000
    dark = np.asarray(inside_plots.gaze(gaze, ["Bo"], layer=0).images[0].get_array())
    assert dark.max() < 0.5, "next to nothing is next to dark"


def test_one_part_may_be_given_as_it_is_and_all_layers_are_the_mean(gaze):
    ax = inside_plots.gaze(gaze, "Bo")
    assert len(ax.images) == 1 and "all layers" in plots.caption(ax)


def test_of_what_is_written_twice_the_last_time_can_be_drawn():
    weights = np.zeros((3, 1, 1, 1, 2, 2))
    weights[0, ..., 0, 1] = weights[2, ..., 1, 0] = 0.5
    twice = Gaze("tiny", (as_picture(BARS.pictures[0]),), ("7", " => ", "7"), weights)
    assert brightest(inside_plots.gaze(twice, "7").images[0]) == (0, 1)
    assert brightest(inside_plots.gaze(twice, "7", last=True).images[0]) == (1, 0)


def test_a_picture_that_nobody_looked_at_stays_dark(gaze):
    ax = inside_plots.gaze(gaze, "Bo", picture=1)
    assert np.asarray(ax.images[0].get_array()).max() <= 0.25 + 1e-6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((["Cy"],), "'Cy' isn't in the answer 'Bo 80 =>'"), (([],), "at least one part of the answer"),
        (("",), "'' isn't in the answer"), (("Bo", 2), "no picture 2: there are 2"),
        (("Bo", -1), "no picture -1"), (("Bo", 0, 2), "no layer 2: there are 2"),
    ],
)  # fmt: skip
def test_what_was_not_said_or_not_there_was_not_looked_at(gaze, arguments, says):
    with pytest.raises(BadRequest, match=says):
        inside_plots.gaze(gaze, *arguments)


# Answers


def test_every_answer_has_its_mark_and_the_truth_where_it_is_wrong():
    replies = [BARS.reply_to(LARGEST), "Ann 40, Bo 8 => Ann", "2"]
    ax = drawn_plots.answers([BARS, BARS, PAIR], [LARGEST, LARGEST, MORE], replies)
    right, wrong, alone = named(ax, "verdict")
    assert (right, alone) == ("Bo  ✓", "2  ✓") and wrong == "Ann  ✗ it is Bo"
    colours = [text.get_color() for text in ax.texts if text.get_gid() == "verdict"]
    assert colours == [drawing.GREEN, drawing.ORANGE, drawing.GREEN]
    assert named(ax) == [LARGEST.text, LARGEST.text, MORE.text]
    assert len(ax.images) == 1 + 1 + 2, "a pair is two pictures"
    assert plots.caption(ax) == "2 of 3 answers are exactly what the picture was drawn from."


def test_four_answers_take_two_rows_of_three():
    ax = drawn_plots.answers([BARS] * 4, [LARGEST] * 4, ["Bo"] * 4)
    corners = [(image.get_extent()[0], image.get_extent()[3]) for image in ax.images]
    assert len({left for left, _ in corners}) == 3 and corners[3][0] == corners[0][0] and corners[3][1] > corners[0][1]


def test_a_reply_that_will_not_end_is_cut_and_one_that_no_font_has_is_spelt():
    ax = drawn_plots.answers([BARS, BARS], [LARGEST] * 2, ["x" * 500, "漢\n😀"])
    long, odd = named(ax, "verdict")
    assert long.startswith("x" * 19 + "…  ✗") and "\\u6f22" in odd and "\n" not in odd


@pytest.mark.parametrize(
    "arguments", [([], [], []), ([BARS], [LARGEST], []), ([BARS], [], ["Bo"]), ([BARS, BARS], [LARGEST], ["Bo"])]
)
def test_a_picture_without_its_question_or_its_answer_is_refused(arguments):
    with pytest.raises(BadRequest, match="at least one scene|as many"):
        drawn_plots.answers(*arguments)


# Scores


def test_every_form_has_its_share_its_interval_and_its_opponents():
    forms = [score("bars/value", 190, ocr=Share(40, 50)), score("heights/value", 100), score("pie/count", 180)]
    ax = drawn_plots.scores(forms)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bars/value", "heights/value", "pie/count"]
    spans = [tuple(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 5]
    assert spans == [(form.model.low, form.model.high) for form in forms]
    marks = {mark: [line for line in ax.lines if line.get_marker() == mark] for mark in "oD|^"}
    assert [line.get_xdata()[0] for line in marks["o"]] == [0.95, 0.9], "relied on"
    assert [line.get_xdata()[0] for line in marks["D"]] == [0.5], "another shape, and not by its colour alone"
    assert [line.get_xdata()[0] for line in marks["|"]] == [0.3] * 3, "the better of blanked and commonest"
    assert [(line.get_xdata()[0], line.get_ydata()[0] // 1) for line in marks["^"]] == [(0.8, 0)]
    assert plots.caption(ax).startswith("2 of 3 forms reach 90%") and "2 of them can't be answered" in plots.caption(ax)
    assert len(ax.get_legend().get_texts()) == 4
    narrow = [tuple(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 2]
    assert narrow == [(Share(40, 50).low, Share(40, 50).high)], "OCR was asked on fewer, and has its interval too"


def test_before_a_lesson_comes_to_ocr_it_can_be_left_out():
    ax = drawn_plots.scores([score("bars/value", 190, ocr=Share(40, 50))], ocr=False)
    assert not [line for line in ax.lines if line.get_marker() == "^"] and len(ax.get_legend().get_texts()) == 3
    assert "OCR" not in plots.caption(ax)


# Pictures alone


def test_pictures_stand_side_by_side_under_their_names():
    ax = plots.pictures([as_picture(BARS.pictures[0]), BARS.pictures[0]])
    assert len(ax.images) == 2 and named(ax) == ["1", "2"]
    assert plots.caption(ax) == "2 pictures of 192 x 192 pixels."
    assert named(plots.pictures(BARS.pictures, ["before"])) == ["before"]
    with pytest.raises(BadRequest, match="as many names as pictures: 2 and 1"):
        plots.pictures(BARS.pictures, ["a", "b"])


# Costs


def test_a_bar_is_as_long_as_a_picture_is_dear():
    bills = [image_tokens("tiny-vlm", 192, 192), image_tokens("phi-3.5-vision", 1344, 336)]
    ax = drawn_plots.image_tokens(bills, context=10_000)
    assert [bar.get_width() for bar in ax.patches] == [bill.tokens for bill in bills] == [144, 745]
    assert named(ax) == ["144", "745"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["tiny-vlm, 192 x 192, 1 square", "phi-3.5-vision, 1344 x 336, 1 x 4 crops"]
    assert plots.caption(ax).startswith("At 745 tokens each, 13 pictures fill a context of 10,000")


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (drawn_plots.scores, "form of question"),
        (plots.pictures, "picture"),
        (drawn_plots.image_tokens, "bill of image_tokens"),
    ],
)
def test_nothing_to_draw_is_refused(draw, says):
    with pytest.raises(BadRequest, match=f"at least one {says}"):
        draw([])


def test_they_draw_on_the_axes_they_are_given(seen, gaze):
    from matplotlib import pyplot

    draws = (
        lambda ax: inside_plots.patches(seen, ax=ax), lambda ax: inside_plots.seen(seen, ax=ax),
        lambda ax: inside_plots.gaze(gaze, "Bo", ax=ax),
        lambda ax: drawn_plots.answers([BARS], [LARGEST], ["Bo"], ax=ax),
        lambda ax: drawn_plots.scores([score("bars/value", 9)], ax=ax),
        lambda ax: plots.pictures(BARS.pictures, ax=ax),
        lambda ax: drawn_plots.image_tokens([image_tokens("tiny-vlm", 9, 9)], ax=ax),
    )  # fmt: skip
    for draw in draws:
        figure, ax = pyplot.subplots()
        assert draw(ax) is ax and figure.axes == [ax] and plots.caption(ax)

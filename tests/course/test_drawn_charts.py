"""teaching/chart_pictures: the pixels say the numbers that a chart was drawn from."""

from random import Random

import numpy as np
import pytest

from course.drawn.canvas import COLOURS, SIDE, Style
from course.drawn.charts import Row, draw_bars, draw_line, draw_pie
from tests.course.test_drawn_canvas import of_colour, said

ROWS = [Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "yellow")]
STYLES = [Style(), *(Style.drawn(Random(seed), "Title" if seed % 2 else "") for seed in range(4))]
either_way = pytest.mark.parametrize("printed", [True, False])
in_all_styles = pytest.mark.parametrize("style", STYLES, ids=range(len(STYLES)))


def place_of(canvas, colour) -> tuple[float, float, int]:
    """The middle column of a colour's pixels, their uppermost row and how high they are there."""
    found = of_colour(canvas, colour)
    columns, rows = np.flatnonzero(found.any(0)), np.flatnonzero(found.any(1))
    return (columns[0] + columns[-1]) / 2, rows[0], found.sum(0).max()


@in_all_styles
@either_way
def test_bars_stand_in_order_and_are_as_high_as_their_values(style, printed):
    canvas = draw_bars(ROWS, style, printed)
    places = [place_of(canvas, row.colour) for row in ROWS]
    assert [x for x, _, _ in places] == sorted(x for x, _, _ in places)
    unit = places[1][2] / 80
    assert [high / unit for _, _, high in places] == pytest.approx([40, 80, 20], abs=2)


@in_all_styles
def test_a_bar_carries_its_value_and_stands_on_its_label(style):
    canvas = draw_bars(ROWS, style)
    title = [style.title] if style.title else []
    assert said(canvas) == [*title, "80", "40", "20", "AnnBoCy"]
    for row in ROWS:
        x, top, high = place_of(canvas, row.colour)
        above = [glyph for glyph, at, y in canvas.glyphs if abs(at - x) < 15 and top - 22 < y < top]
        below = [glyph for glyph, at, y in canvas.glyphs if abs(at - x) < 28 and y > top + high]
        assert "".join(above) == str(row.value) and "".join(below) == row.label


@pytest.mark.parametrize("draw", [draw_bars, draw_line])
def test_an_axis_stands_beside_values_that_are_not_printed(draw):
    canvas = draw(ROWS, Style(), False)
    assert said(canvas) == ["100", "50", "0", "AnnBoCy"]
    top, middle, bottom, _ = sorted({y for _, _, y in canvas.glyphs})
    assert middle == (top + bottom) / 2
    upper = place_of(draw([Row("A", 50, "red")], Style(), False), "red")[1]
    assert abs(upper + (3 if draw is draw_line else 0) - middle) <= 1, "50 is drawn at the height of 50"


@in_all_styles
@either_way
def test_a_line_goes_through_its_points(style, printed):
    rows = [Row("A", 20, "red"), Row("B", 100, "blue"), Row("C", 60, "green")]
    canvas = draw_line(rows, style, printed)
    found = of_colour(canvas, "red")
    assert not of_colour(canvas, "blue").any(), "a line has one colour, the first row's"
    columns = np.flatnonzero(found.any(0))
    ends = [np.flatnonzero(found[:, column]).mean() for column in (columns[0] + 3, columns[-1] - 3)]
    top = np.flatnonzero(found.any(1))[0] + 3
    assert (ends[0] - ends[1]) / (ends[0] - top) == pytest.approx(0.5, abs=0.06), "from 20 to 60 is half of 20 to 100"


def test_points_carry_their_values():
    canvas = draw_line(ROWS, Style())
    assert said(canvas) == ["80", "40", "20", "AnnBoCy"]
    for number, row in enumerate(ROWS):
        over = [glyph for glyph, x, y in canvas.glyphs if y < 170 and 12 + 57 * number < x < 12 + 57 * (number + 1)]
        assert "".join(over) == str(row.value), f"{row.value} stands over {row.label}"


@in_all_styles
def test_slices_are_as_large_as_their_shares(style):
    rows = [Row("A", 50, "red"), Row("B", 30, "blue"), Row("C", 20, "orange")]
    legend = SIDE - (style.size + 4) * 3 - 2
    sizes = [of_colour(draw_pie(rows, style, ""), row.colour)[: int(legend)].sum() for row in rows]
    assert [size / sum(sizes) for size in sizes] == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


@pytest.mark.parametrize(
    ("printed", "lines"), [("legend", ["A60%", "B40%"]), ("slices", ["40", "60", "A", "B"]), ("", ["A", "B"])]
)
def test_percents_are_where_they_were_wanted(printed, lines):
    rows = [Row("A", 60, "red"), Row("B", 40, "blue")]
    canvas = draw_pie(rows, Style(), printed)
    assert said(canvas) == lines
    for row in rows if printed == "slices" else ():
        digit = str(row.value)[0]
        x, y = next((int(x), int(y)) for glyph, x, y in canvas.glyphs if glyph == digit)
        assert of_colour(canvas, row.colour)[y - 9 : y + 9, x - 9 : x + 9].sum() > 100, f"{row.value} is on its slice"


def test_the_legend_has_each_colour_beside_its_label():
    rows = [Row(label, 25, colour) for label, colour in zip("ABCD", ("red", "blue", "pink", "brown"), strict=True)]
    canvas = draw_pie(rows, Style(), "legend")
    for row in rows:
        x, y = next((int(x), int(y)) for glyph, x, y in canvas.glyphs if glyph == row.label)
        beside = of_colour(canvas, row.colour)[y, x - 25 : x]
        assert beside.sum() >= 9, f"{row.colour} stands left of {row.label}"


@pytest.mark.parametrize("draw", [draw_bars, draw_line, draw_pie])
def test_a_title_stands_above_everything(draw):
    canvas = draw(ROWS, Style(title="Fruit"))
    assert said(canvas)[0] == "Fruit"
    colours = [of_colour(canvas, row.colour) for row in (ROWS if draw is not draw_line else ROWS[:1])]
    assert np.flatnonzero(np.any(colours, axis=0).any(1))[0] > 15


@pytest.mark.parametrize("draw", [draw_bars, draw_line, draw_pie])
def test_long_labels_are_written_small_enough_to_stay_apart(draw):
    rows = [Row(label * 6, 20, "blue") for label in "WMQ"]
    glyphs = draw(rows, Style()).glyphs
    ends = {label: [x for glyph, x, _ in glyphs if glyph == label] for label in "WMQ"}
    assert all(len(places) == 6 and 0 < min(places) and max(places) < SIDE for places in ends.values())
    if draw is not draw_pie:
        assert max(ends["W"]) < min(ends["M"]) < max(ends["M"]) < min(ends["Q"])


@pytest.mark.parametrize("draw", [draw_bars, draw_line])
def test_nothing_but_zeros_is_drawn_flat(draw):
    canvas = draw([Row("A", 0, "red"), Row("B", 0, "red")], Style(frame=False))
    assert np.flatnonzero(of_colour(canvas, "red").any(1)).size <= 7


def test_a_grid_and_a_frame_come_only_when_asked():
    def grey(**options):
        found = np.asarray(draw_bars(ROWS, Style(**options)).image) == 205
        return (found.all(-1).mean(1) > 0.2).sum()

    def dark(**options):
        return (np.asarray(draw_bars(ROWS, Style(**options)).image)[:, 12] == 20).all(-1).sum()

    assert grey(grid=True) == 4 and grey() == 0
    assert dark() > 100 and dark(frame=False) == 0


def test_every_colour_can_be_a_bar():
    rows = [Row(str(number), 9, colour) for number, colour in enumerate(COLOURS)]
    places = [place_of(draw_bars(rows, Style()), colour)[0] for colour in COLOURS]
    assert places == sorted(places)

"""teaching/paper_pictures: receipts, tables and lines say what they were given, shapes stand on their places."""

from random import Random

import numpy as np
import pytest

from course.drawn.canvas import SIDE, Style
from course.drawn.papers import PLACES, Shape, draw_lines, draw_receipt, draw_shapes, draw_table
from tests.course.test_drawn_canvas import inked, of_colour, pixels, said

STYLES = [Style(), *(Style.drawn(Random(seed)) for seed in range(4))]
in_all_styles = pytest.mark.parametrize("style", STYLES, ids=range(len(STYLES)))
ITEMS = [("Milk", "1.20"), ("Tea", "0.85"), ("Rice", "3.10")]


def rules(canvas) -> list[int]:
    """The rows of pixels that are ink over half of the width: ruled lines."""
    rows = np.flatnonzero((np.asarray(canvas.image) == canvas.style.ink).all(-1).mean(1) > 0.5)
    return [int(row) for row in rows]


@in_all_styles
def test_a_receipt_says_its_items_and_its_total(style):
    canvas = draw_receipt(ITEMS, "5.15", style)
    assert said(canvas) == ["Milk1.20", "Tea0.85", "Rice3.10", "TOTAL5.15"]
    for glyph, x, _ in canvas.glyphs:
        assert (x > SIDE / 2) == (not glyph.isalpha()), "names at the left, prices at the right"
    heights = sorted({y for _, _, y in canvas.glyphs})
    (rule,) = rules(canvas)
    assert heights[-2] < rule < heights[-1], "the total stands under a line"


def test_prices_end_at_one_column():
    canvas = draw_receipt([("A", "10.00"), ("B", "7.00")], "17.00", Style())
    ends = [max(x for _, x, y in canvas.glyphs if y == height) for height in {y for _, _, y in canvas.glyphs}]
    assert max(ends) - min(ends) < 0.01


def test_a_receipts_title_stands_above_it():
    assert said(draw_receipt(ITEMS, "5.15", Style(title="Corner shop")))[0] == "Cornershop"


@in_all_styles
def test_a_table_says_its_rows_under_its_heads(style):
    canvas = draw_table(("Name", "Age"), [("Ann", "31"), ("Bo", "7")], style)
    assert said(canvas) == ["NameAge", "Ann31", "Bo7"]
    digits = [x for glyph, x, _ in canvas.glyphs if glyph.isdigit()]
    assert min(digits) > max(x for glyph, x, _ in canvas.glyphs if glyph in "NmnBo"), "two columns"


def test_a_table_is_ruled_under_its_heads_or_everywhere():
    def drawn(**style):
        return draw_table(("Name", "Age"), [("Ann", "31"), ("Bo", "7")], Style(**style))

    bare, framed, boxed = drawn(frame=False), drawn(), drawn(grid=True)
    head, first, _ = sorted({y for _, _, y in bare.glyphs})
    assert len(rules(bare)) == 1 and head < rules(bare)[0] < first
    assert len(rules(framed)) == 3 and set(rules(bare)) < set(rules(framed))
    dark = (np.asarray(boxed.image) == boxed.style.ink).all(-1).mean(0)
    assert (dark > 0.5).sum() == 3, "a box has a left, a middle and a right"


@in_all_styles
def test_lines_stand_under_each_other(style):
    assert said(draw_lines(["Open", "9 to 5"], style)) == ["Open", "9to5"]


@pytest.mark.parametrize("shift", [(0, 0), (5, 4), (-5, -4)])
@pytest.mark.parametrize("text", ["X", "A long line of words", "W" * 14])
def test_a_line_stays_in_the_picture_wherever_it_is_shifted(text, shift):
    canvas = draw_lines([text], Style(size=34, shift=shift))
    ink = inked(canvas)
    assert ink.any() and not (ink[0].any() or ink[-1].any() or ink[:, 0].any() or ink[:, -1].any())
    assert "".join(said(canvas)) == text.replace(" ", "")


@in_all_styles
@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("form", ["circle", "square", "triangle"])
def test_a_shape_stands_on_its_place(form, place, style):
    found = of_colour(draw_shapes([Shape(form, "green", place)], style), "green")
    rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
    middle = ((rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2)
    row, column = (int(at // (SIDE / 3)) for at in middle)
    assert PLACES[3 * row + column] == PLACES[place]
    part = {"circle": np.pi / 4, "square": 1.0, "triangle": 0.5}[form]
    assert found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() == pytest.approx(part, abs=0.05)
    assert rows[0] > 0 and columns[0] > 0 and rows[-1] < SIDE - 1 and columns[-1] < SIDE - 1, "and is all there"


def test_nine_shapes_do_not_touch():
    colours = ["red", "blue", "green", "orange", "purple", "brown", "pink", "yellow", "red"]
    for seed in range(5):
        style = Style.drawn(Random(seed))
        shapes = [Shape("square", colour, place) for place, colour in enumerate(colours)]
        before = pixels(draw_shapes([], style))
        for number in range(9):
            after = pixels(draw_shapes(shapes[: number + 1], style))
            new = (after != before).any(-1)
            assert new.sum() > 600 and (before[new] == style.background).all(), f"shape {number} of seed {seed}"
            before = after

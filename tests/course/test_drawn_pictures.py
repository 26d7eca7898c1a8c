"""drawn: canvas, charts, papers and looks: the pixels say what a picture was drawn from."""

from random import Random

import numpy as np
import pytest

from course import drawn
from course.drawn.canvas import FONTS, SIDE, Canvas, Style
from course.drawn.pictures import PLACES, Row, Shape, draw_bars, draw_line, draw_pie, draw_shapes

ROWS = [Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "yellow")]
STYLES = [Style(), *(Style.random(Random(seed), "Title" if seed % 2 else "") for seed in range(4))]


def pixels(canvas) -> np.ndarray:
    """Height, width, 3; numbers that may be subtracted."""
    return np.asarray(canvas.image, dtype=np.int16)


def of_colour(canvas, colour: str) -> np.ndarray:
    """Which pixels are of a colour, in the canvas's own hues: (height, width) of True and False."""
    return (pixels(canvas) == canvas.style.rgb(colour)).all(-1)


def inked(canvas) -> np.ndarray:
    """Which pixels are dark: nearer to the ink than to the paper."""
    return pixels(canvas).sum(-1) < (sum(canvas.style.background) + sum(canvas.style.ink)) / 2


def said(canvas) -> list[str]:
    """The remembered glyphs, row by row from the left, as one reads; those at one height are a row."""
    rows: dict[float, list] = {}
    for glyph, x, y in canvas.glyphs:
        rows.setdefault(round(y, 3), []).append((x, glyph))
    return ["".join(glyph for _, glyph in sorted(rows[y])) for y in sorted(rows)]


def place_of(canvas, colour) -> tuple[float, float, int]:
    """The middle column of a colour's pixels, their uppermost row and how high they are there."""
    found = of_colour(canvas, colour)
    columns, rows = np.flatnonzero(found.any(0)), np.flatnonzero(found.any(1))
    return (columns[0] + columns[-1]) / 2, rows[0], found.sum(0).max()


# The canvas


def test_a_glyph_is_remembered_where_its_ink_is():
    for name in FONTS:
        for anchor, x in (("lm", 10), ("mm", 96), ("rm", 182)):
            canvas = Canvas(Style(font=name, size=30))
            canvas.write("H E 7", x, 100, anchor)
            columns = np.flatnonzero(inked(canvas).any(0))
            letters = np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1)
            assert [glyph for glyph, _, _ in canvas.glyphs] == ["H", "E", "7"], "a space is no glyph"
            for (_, middle, height), letter in zip(canvas.glyphs, letters, strict=True):
                assert abs((letter[0] + letter[-1] + 1) / 2 - middle) < 1.5 and height == 100
            end = {"lm": columns[0], "mm": (columns[0] + columns[-1]) / 2, "rm": columns[-1]}[anchor]
            assert abs(end - x) < 5, "the anchor is at x"


# Charts


def test_bars_stand_in_order_and_are_as_high_as_their_values():
    for style in STYLES:
        for printed in (True, False):
            places = [place_of(draw_bars(ROWS, style, printed), row.colour) for row in ROWS]
            assert [x for x, _, _ in places] == sorted(x for x, _, _ in places)
            unit = places[1][2] / 80
            assert [high / unit for _, _, high in places] == pytest.approx([40, 80, 20], abs=2)


def test_a_bar_carries_its_value_and_stands_on_its_label():
    for style in STYLES:
        canvas = draw_bars(ROWS, style)
        assert said(canvas) == [*([style.title] if style.title else []), "80", "40", "20", "AnnBoCy"]
        for row in ROWS:
            x, top, high = place_of(canvas, row.colour)
            above = [glyph for glyph, at, y in canvas.glyphs if abs(at - x) < 15 and top - 22 < y < top]
            below = [glyph for glyph, at, y in canvas.glyphs if abs(at - x) < 28 and y > top + high]
            assert "".join(above) == str(row.value) and "".join(below) == row.label


def test_an_axis_stands_beside_values_that_are_not_printed():
    for draw, radius in ((draw_bars, 0), (draw_line, 3)):
        canvas = draw(ROWS, Style(), False)
        assert said(canvas) == ["100", "50", "0", "AnnBoCy"]
        middle = next(y for glyph, _, y in canvas.glyphs if glyph == "5")
        upper = place_of(draw([Row("A", 50, "red")], Style(), False), "red")[1]
        assert abs(upper + radius - middle) <= 1, "50 is drawn at the height of 50"


def test_a_line_goes_through_its_points_and_they_carry_their_values():
    rows = [Row("A", 20, "red"), Row("B", 100, "blue"), Row("C", 60, "green")]
    for style in STYLES:
        canvas = draw_line(rows, style)
        assert said(canvas)[-4:] == ["100", "60", "20", "ABC"]
        found = of_colour(canvas, "red")
        assert not of_colour(canvas, "blue").any(), "a line has one colour, the first row's"
        columns = np.flatnonzero(found.any(0))
        ends = [np.flatnonzero(found[:, column]).mean() for column in (columns[0] + 3, columns[-1] - 3)]
        top = np.flatnonzero(found.any(1))[0] + 3
        assert (ends[0] - ends[1]) / (ends[0] - top) == pytest.approx(0.5, abs=0.06), "20 to 60 is half of 20 to 100"


def test_slices_are_as_large_as_their_shares():
    rows = [Row("A", 50, "red"), Row("B", 30, "blue"), Row("C", 20, "orange")]
    for style in STYLES:
        legend = SIDE - (style.size + 4) * 3 - 2
        sizes = [of_colour(draw_pie(rows, style, ""), row.colour)[: int(legend)].sum() for row in rows]
        assert [size / sum(sizes) for size in sizes] == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


# Papers


def test_a_shape_stands_on_its_place_whole():
    for form, part in (("circle", np.pi / 4), ("square", 1.0), ("triangle", 0.5)):
        for place in range(9):
            for style in STYLES:
                found = of_colour(draw_shapes([Shape(form, "green", place)], style), "green")
                rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
                row, column = (int((at[0] + at[-1]) / 2 // (SIDE / 3)) for at in (rows, columns))
                assert PLACES[3 * row + column] == PLACES[place]
                box = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                assert box.mean() == pytest.approx(part, abs=0.05)
                assert min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < SIDE - 1, "and is all there"


# Other looks


BARS = drawn.bars([Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "blue")])


def bytes_of(scene) -> list[bytes]:
    return [picture.tobytes() for picture in scene.pictures]


def test_a_look_changes_every_picture_and_not_the_truth():
    before = bytes_of(BARS)
    for name, look in drawn.LOOKS.items():
        foreign = look(BARS, 3)
        assert (foreign.kind, foreign.reading, foreign.questions) == (BARS.kind, BARS.reading, BARS.questions)
        assert (bytes_of(foreign) == before) == (name == "as trained")
        assert [(picture.size, picture.mode) for picture in foreign.pictures] == [((SIDE, SIDE), "RGB")]
        assert bytes_of(look(BARS, 3)) == bytes_of(foreign), f"{name}: the same every time"
    assert bytes_of(BARS) == before, "the scene itself stays as it was"

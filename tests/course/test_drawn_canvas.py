"""teaching/canvas: what a picture remembers of itself agrees with its pixels."""

from itertools import combinations
from random import Random

import numpy as np
import pytest

from course.drawn.canvas import COLOURS, FONTS, SIDE, Canvas, Style


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


def test_a_new_canvas_is_paper_and_nothing_else():
    canvas = Canvas(Style(background=(250, 240, 230)))
    assert canvas.image.size == (SIDE, SIDE) and canvas.image.mode == "RGB" and not canvas.glyphs
    assert (pixels(canvas) == (250, 240, 230)).all()


@pytest.mark.parametrize("name", FONTS)
@pytest.mark.parametrize(("anchor", "x"), [("lm", 10), ("mm", 96), ("rm", 182)])
def test_a_glyph_is_remembered_where_its_ink_is(name, anchor, x):
    canvas = Canvas(Style(font=name, size=30))
    canvas.write("H E 7", x, 100, anchor)
    ink = inked(canvas)
    columns, rows = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
    letters = np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1)
    assert [glyph for glyph, _, _ in canvas.glyphs] == ["H", "E", "7"], "a space is no glyph"
    for (_, middle, height), letter in zip(canvas.glyphs, letters, strict=True):
        assert abs((letter[0] + letter[-1] + 1) / 2 - middle) < 1.5 and height == 100
    assert abs((rows[0] + rows[-1] + 1) / 2 - 100) < 2
    end = {"lm": columns[0], "mm": (columns[0] + columns[-1]) / 2, "rm": columns[-1]}[anchor]
    assert abs(end - x) < 5, "the anchor is at x"


def test_text_is_as_wide_as_it_says():
    canvas = Canvas(Style(size=24))
    canvas.write("HHHH", 10, 96, "lm")
    columns = np.flatnonzero(inked(canvas).any(0))
    assert abs((columns[-1] + 1 - columns[0]) - canvas.width_of("HHHH")) < 6
    assert canvas.width_of("HHHH", 12) < canvas.width_of("HHHH") < canvas.width_of("HHHHH")


def test_a_halo_keeps_a_line_away_from_the_text():
    def left_of_the_line(halo):
        canvas = Canvas()
        canvas.draw.line((0, 96, SIDE, 96), fill=COLOURS["red"], width=3)
        canvas.write("|", 96, 96, halo=halo)
        return of_colour(canvas, "red").sum()

    assert left_of_the_line(3) < left_of_the_line(0)


@pytest.mark.parametrize("name", FONTS)
def test_text_gets_the_largest_size_that_fits(name):
    canvas = Canvas(Style(font=name, size=20))
    assert canvas.size_for("I", 100) == 20, "never larger than the style"
    size = canvas.size_for("Wednesday", 60)
    assert 8 < size < 20 and canvas.width_of("Wednesday", size) <= 60 < canvas.width_of("Wednesday", size + 1)
    assert canvas.size_for("Wednesday" * 9, 60) == 8, "what is smaller can't be read"


def test_the_same_seed_draws_the_same_style():
    def drawn(seed):
        return Style.drawn(Random(seed), "Sales", sizes=(12, 30))

    styles = [drawn(seed) for seed in range(60)]
    assert styles == [drawn(seed) for seed in range(60)] and len(set(styles)) == 60
    assert {style.font for style in styles} == set(FONTS) and {style.title for style in styles} == {"Sales"}
    assert all(12 <= style.size <= 30 for style in styles)
    for what in ("grid", "frame"):
        assert {getattr(style, what) for style in styles} == {True, False}


def test_whatever_is_drawn_can_be_read():
    for seed in range(200):
        style = Style.drawn(Random(seed))
        assert min(style.background) >= 225 and max(style.ink) <= 70, "dark on light"
        colours = {name: np.array(style.rgb(name)) for name in COLOURS}
        assert all(0 <= part <= 255 for colour in colours.values() for part in colour)
        near = min(np.abs(colours[one] - colours[other]).max() for one, other in combinations(COLOURS, 2))
        assert near > 40, f"two colours of seed {seed} can't be told apart"


def test_a_hue_goes_to_the_end_of_the_scale_and_no_further():
    assert Style(hues=(300, 0, -300)).rgb("green") == (255, COLOURS["green"][1], 0)

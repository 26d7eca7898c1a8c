"""Papers drawn from their text: receipts, tables, plain lines; and coloured shapes. Nothing here is drawn by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from course.drawn.canvas import SIDE, Canvas, Style

FORMS_OF_SHAPES = ("circle", "square", "triangle")
PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")


@dataclass(frozen=True)
class Shape:
    """A coloured circle, square or triangle in one of nine places, counted as one reads."""

    form: str
    colour: str
    place: int


def draw_receipt(items: Sequence[tuple[str, str]], total: str, style: Style) -> Canvas:
    """Names at the left, prices at the right, and the total under a line."""
    canvas = Canvas(style)
    lines = [*items, ("TOTAL", total)]
    top = 8.0
    if style.title:
        canvas.write(style.title, SIDE / 2, top + style.size * 0.5, size=canvas.size_for(style.title, 170))
        top += style.size + 8
    step = min((SIDE - top - 8) / len(lines), style.size * 2.0)
    left, right = 14 + style.shift[0], SIDE - 14 + style.shift[0]
    for number, (name, price) in enumerate(lines):
        y = top + step * (number + 0.5)
        if number == len(items):
            canvas.draw.line((left, y - step * 0.5, right, y - step * 0.5), fill=style.ink)
        canvas.write(name, left, y, "lm", canvas.size_for(name, 105))
        canvas.write(price, right, y, "rm")
    return canvas


def draw_table(heads: tuple[str, str], rows: Sequence[tuple[str, str]], style: Style) -> Canvas:
    """Two columns under their headings, ruled."""
    canvas = Canvas(style)
    lines = [heads, *rows]
    step = min((SIDE - 16) / len(lines), style.size * 2.2)
    left, middle, right = 10 + style.shift[0], 112 + style.shift[0], SIDE - 10 + style.shift[0]
    top = 8 + max(style.shift[1], 0)
    for number, (first, second) in enumerate(lines):
        y = top + step * (number + 0.5)
        canvas.write(first, left + 6, y, "lm", canvas.size_for(first, 90))
        canvas.write(second, middle + 6, y, "lm", canvas.size_for(second, 60))
        if style.frame or not number:
            canvas.draw.line((left, y + step / 2, right, y + step / 2), fill=style.ink)
    if style.grid:
        canvas.draw.rectangle((left, top, right, top + step * len(lines)), outline=style.ink)
        canvas.draw.line((middle, top, middle, top + step * len(lines)), fill=style.ink)
    return canvas


def draw_lines(lines: Sequence[str], style: Style) -> Canvas:
    """One line of text, or a few, in the middle."""
    canvas = Canvas(style)
    step = style.size * 1.6
    for number, line in enumerate(lines):
        y = SIDE / 2 + style.shift[1] * 8 + step * (number - (len(lines) - 1) / 2)
        size = canvas.size_for(line, 172)
        slack = (SIDE - 8 - canvas.width_of(line, size)) / 2
        x = SIDE / 2 + max(-slack, min(slack, style.shift[0] * 12))
        canvas.write(line, x, y, size=size)
    return canvas


def draw_shapes(shapes: Sequence[Shape], style: Style) -> Canvas:
    """Shapes near the middle of their places, a little larger or smaller, so that no two pictures are alike."""
    canvas = Canvas(style)
    for number, shape in enumerate(shapes):
        row, column = divmod(shape.place, 3)
        wobble = (number * 37 + shape.place * 11 + style.size) % 13 - 6
        x, y = 34 + 62 * column + style.shift[0] + wobble, 34 + 62 * row + style.shift[1] - wobble
        half, fill = 14 + (style.size + 3 * number) % 8, style.rgb(shape.colour)
        box = (x - half, y - half, x + half, y + half)
        if shape.form == "circle":
            canvas.draw.ellipse(box, fill=fill)
        elif shape.form == "square":
            canvas.draw.rectangle(box, fill=fill)
        else:
            canvas.draw.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=fill)
    return canvas

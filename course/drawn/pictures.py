"""Pictures drawn from what they show: charts from their numbers, papers from their text, coloured shapes.

What is drawn is given; nothing here is drawn by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from numbers import Integral

from course.drawn.canvas import COLOURS, SIDE, Canvas, Style
from slmlab.errors import BadRequest, UnknownName, nearest

HIGHEST = 100  # the top of an axis
GRID = (205, 205, 205)
FORMS_OF_SHAPES = ("circle", "square", "triangle")
PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")


@dataclass(frozen=True)
class Row:
    """One bar, point or slice: its label, its value and its colour."""

    label: str
    value: int
    colour: str = "blue"

    def __post_init__(self):
        if self.colour not in COLOURS:
            raise UnknownName(f"No colour {self.colour!r}. {nearest(str(self.colour), list(COLOURS))}.")
        if not self.label or not isinstance(self.value, Integral) or self.value < 0:
            raise BadRequest(f"Row({self.label!r}, {self.value!r}): a label, and a whole number from 0 on.")


@dataclass(frozen=True)
class Shape:
    """A coloured circle, square or triangle in one of nine places, counted as one reads."""

    form: str
    colour: str
    place: int


def draw_bars(rows: Sequence[Row], style: Style, printed: bool = True) -> Canvas:
    """Bars side by side. Without printed values an axis from 0 to 100 stands beside them."""
    canvas = Canvas(style)
    points, bottom, step = _points(canvas, rows, printed)
    half = step * style.fill / 2
    for (x, y), row in zip(points, rows, strict=True):
        canvas.draw.rectangle((x - half, y, x + half, bottom), fill=style.rgb(row.colour))
        if printed:
            canvas.write(str(row.value), x, y - style.size * 0.6)
        _label(canvas, row.label, x, bottom, step)
    return canvas


def draw_line(rows: Sequence[Row], style: Style, printed: bool = True) -> Canvas:
    """Points joined by a line, the first row's colour. Without printed values an axis from 0 to 100."""
    canvas, colour = Canvas(style), style.rgb(rows[0].colour)
    points, bottom, step = _points(canvas, rows, printed)
    canvas.draw.line(points, fill=colour, width=2)
    for (x, y), row in zip(points, rows, strict=True):
        canvas.draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        if printed:
            canvas.write(str(row.value), x, y - style.size * 0.75, halo=2)
        _label(canvas, row.label, x, bottom, step)
    return canvas


def draw_pie(rows: Sequence[Row], style: Style, printed: str = "legend") -> Canvas:
    """A pie over its legend. Percents are printed in the legend, on the slices or nowhere ('')."""
    canvas, total = Canvas(style), sum(row.value for row in rows)
    if not total:
        raise BadRequest("A pie of nothing but zeros has no slices.")
    top, legend = _title(canvas), (style.size + 4) * len(rows)
    radius = min((SIDE - top - legend - 12) / 2, 52)
    x, y, angle = SIDE / 2 + style.shift[0], top + radius + 3, -90.0
    for row in rows:
        wide, colour = 360 * row.value / total, style.rgb(row.colour)
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.draw.pieslice(box, angle, angle + wide, fill=colour, outline=style.background)
        if printed == "slices":
            middle = (angle + wide / 2) * pi / 180
            at_x, at_y = x + 0.62 * radius * cos(middle), y + 0.62 * radius * sin(middle)
            ink = style.ink if sum(colour) > 380 else (255, 255, 255)  # light colours are written on in dark
            canvas.write(str(row.value), at_x, at_y, size=min(style.size, 14), fill=ink)
        angle += wide
    _legend(canvas, rows, SIDE - legend - 2, percents=printed == "legend")
    return canvas


def _legend(canvas: Canvas, rows: Sequence[Row], top: float, percents: bool) -> None:
    style = canvas.style
    left, line = 44 + style.shift[0], style.size + 4
    for number, row in enumerate(rows):
        middle = top + line * (number + 0.5)
        canvas.draw.rectangle((left, middle - 5, left + 10, middle + 5), fill=style.rgb(row.colour))
        canvas.write(row.label, left + 18, middle, "lm", canvas.size_for(row.label, 60))
        if percents:
            canvas.write(f"{row.value}%", SIDE - 24 + style.shift[0], middle, "rm")


def _points(canvas: Canvas, rows: Sequence[Row], printed: bool) -> tuple[list[tuple[float, float]], float, float]:
    """Draws the axes; gives the point of each value, the height of the axis below, and the step between the points."""
    style, most = canvas.style, max(row.value for row in rows)
    if not printed and most > HIGHEST:
        raise BadRequest(f"{most} is above the axis, which ends at {HIGHEST}. Print the values, or keep below.")
    most = max(most, 1) if printed else HIGHEST
    top, bottom = _title(canvas) + style.size + 8, SIDE - style.size - 10 + min(style.shift[1], 0)
    left, right = (12 if printed else 41) + style.shift[0], SIDE - 10 + min(style.shift[0], 0)
    for value in () if printed else (0, HIGHEST // 2, HIGHEST):
        y = bottom - (bottom - top) * value / HIGHEST
        canvas.write(str(value), left - 6, y, "rm", min(style.size, 14))
        canvas.draw.line((left - 3, y, left, y), fill=style.ink)
    for part in (0.25, 0.5, 0.75, 1) if style.grid else ():
        y = bottom - (bottom - top) * part
        canvas.draw.line((left, y, right, y), fill=GRID)
    if style.frame or not printed:
        canvas.draw.line((left, top, left, bottom), fill=style.ink)
        canvas.draw.line((left, bottom, right, bottom), fill=style.ink)
    step = (right - left) / len(rows)
    xs = [left + step * (number + 0.5) for number in range(len(rows))]
    return [(x, bottom - (bottom - top) * row.value / most) for x, row in zip(xs, rows, strict=True)], bottom, step


def _title(canvas: Canvas) -> float:
    """Writes the title, if there is one, and gives the height that is taken."""
    style = canvas.style
    if not style.title:
        return 2.0
    size = canvas.size_for(style.title, 170)
    canvas.write(style.title, SIDE / 2 + style.shift[0], style.size * 0.75 + 2, size=size)
    return style.size + 6.0


def _label(canvas: Canvas, label: str, x: float, bottom: float, room: float) -> None:
    canvas.write(label, x, bottom + canvas.style.size * 0.7 + 1, size=canvas.size_for(label, room - 2))


def draw_receipt(items: Sequence[tuple[str, str]], total: str, style: Style) -> Canvas:
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

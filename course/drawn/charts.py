"""Charts drawn from their numbers: bars, a line, a pie. What is drawn is given; nothing here is drawn by chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from course.drawn.canvas import SIDE, Canvas, Style, known_colour
from slmlab.errors import BadRequest

HIGHEST = 100  # the top of an axis


@dataclass(frozen=True)
class Row:
    """One bar, point or slice: its label, its value and its colour."""

    label: str
    value: int
    colour: str = "blue"

    def __post_init__(self):
        known_colour(self.colour)
        if not self.label or isinstance(self.value, bool) or not isinstance(self.value, Integral) or self.value < 0:
            raise BadRequest(f"Row({self.label!r}, {self.value!r}): a label, and a whole number from 0 on.")


def draw_bars(rows: Sequence[Row], style: Style, printed: bool = True) -> Canvas:
    """Bars side by side. Without printed values an axis from 0 to 100 stands beside them."""
    canvas = Canvas(style)
    left, top, right, bottom = _plot(canvas, axis=not printed)
    most = _top(rows, printed)
    step = (right - left) / len(rows)
    for number, row in enumerate(rows):
        middle, half = left + step * (number + 0.5), step * style.fill / 2
        height = (bottom - top) * row.value / most
        canvas.draw.rectangle((middle - half, bottom - height, middle + half, bottom), fill=style.rgb(row.colour))
        if printed:
            canvas.write(str(row.value), middle, bottom - height - style.size * 0.6)
        _label(canvas, row.label, middle, bottom, step)
    return canvas


def draw_line(rows: Sequence[Row], style: Style, printed: bool = True) -> Canvas:
    """Points joined by a line, the first row's colour. Without printed values an axis from 0 to 100."""
    canvas = Canvas(style)
    left, top, right, bottom = _plot(canvas, axis=not printed)
    most = _top(rows, printed)
    step, colour = (right - left) / len(rows), style.rgb(rows[0].colour)
    places = [
        (left + step * (number + 0.5), bottom - (bottom - top) * row.value / most) for number, row in enumerate(rows)
    ]
    canvas.draw.line(places, fill=colour, width=2)
    for (x, y), row in zip(places, rows, strict=True):
        canvas.draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        if printed:
            canvas.write(str(row.value), x, y - style.size * 0.75, halo=2)
        _label(canvas, row.label, x, bottom, step)
    return canvas


def draw_pie(rows: Sequence[Row], style: Style, printed: str = "legend") -> Canvas:
    """A pie over its legend. Percents are printed in the legend, on the slices or nowhere ('')."""
    from math import cos, pi, sin

    canvas = Canvas(style)
    line = style.size + 4
    tall = line * len(rows)
    top = _title(canvas)
    radius = min((SIDE - top - tall - 12) / 2, 52)
    x, y = SIDE / 2 + style.shift[0], top + radius + 3
    whole, angle = sum(row.value for row in rows), -90.0
    if not whole:
        raise BadRequest("A pie of nothing but zeros has no slices.")
    for row in rows:
        wide = 360 * row.value / whole
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.draw.pieslice(box, angle, angle + wide, fill=style.rgb(row.colour), outline=style.background)
        if printed == "slices":
            middle = (angle + wide / 2) * pi / 180
            size = min(style.size, 14)
            at_x, at_y = x + 0.62 * radius * cos(middle), y + 0.62 * radius * sin(middle)
            light = sum(style.rgb(row.colour)) > 380
            canvas.write(str(row.value), at_x, at_y, size=size, fill=style.ink if light else (255, 255, 255))
        angle += wide
    begin, room = 44 + style.shift[0], SIDE - tall - 2
    for number, row in enumerate(rows):
        middle = room + line * (number + 0.5)
        canvas.draw.rectangle((begin, middle - 5, begin + 10, middle + 5), fill=style.rgb(row.colour))
        canvas.write(row.label, begin + 18, middle, "lm", canvas.size_for(row.label, 60))
        if printed == "legend":
            canvas.write(f"{row.value}%", SIDE - 24 + style.shift[0], middle, "rm")
    return canvas


def _top(rows: Sequence[Row], printed: bool) -> int:
    """The value at the top of the plot."""
    most = max(row.value for row in rows)
    if not printed and most > HIGHEST:
        raise BadRequest(f"{most} is above the axis, which ends at {HIGHEST}. Print the values, or keep below.")
    return max(most, 1) if printed else HIGHEST


def _plot(canvas: Canvas, axis: bool) -> tuple[float, float, float, float]:
    """The room for the data: left, top, right, bottom."""
    style = canvas.style
    top, bottom = _title(canvas) + style.size + 8, SIDE - style.size - 10 + min(style.shift[1], 0)
    left, right = (41 if axis else 12) + style.shift[0], SIDE - 10 + min(style.shift[0], 0)
    if axis:
        for value in (0, HIGHEST // 2, HIGHEST):
            y = bottom - (bottom - top) * value / HIGHEST
            canvas.write(str(value), left - 6, y, "rm", min(style.size, 14))
            canvas.draw.line((left - 3, y, left, y), fill=style.ink)
    if style.grid:
        for part in (0.25, 0.5, 0.75, 1):
            y = bottom - (bottom - top) * part
            canvas.draw.line((left, y, right, y), fill=(205, 205, 205))
    if style.frame or axis:
        canvas.draw.line((left, top, left, bottom), fill=style.ink)
        canvas.draw.line((left, bottom, right, bottom), fill=style.ink)
    return left, top, right, bottom


def _title(canvas: Canvas) -> float:
    """Writes the title, if there is one, and gives the height that is taken."""
    style = canvas.style
    if not style.title:
        return 2.0
    canvas.write(style.title, SIDE / 2 + style.shift[0], style.size * 0.75 + 2, size=canvas.size_for(style.title, 170))
    return style.size + 6.0


def _label(canvas: Canvas, label: str, x: float, bottom: float, room: float) -> None:
    canvas.write(label, x, bottom + canvas.style.size * 0.7 + 1, size=canvas.size_for(label, room - 2))

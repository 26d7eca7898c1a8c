"""Pages full of letters, digits and patches of colour: what the picture encoder learns to see first, by itself."""

from random import Random

from course.drawn.canvas import COLOURS, SIDE, Canvas, Style

GLYPHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.%/"


def draw_page(chance: Random) -> Canvas:
    """Rows of meaningless words and rectangles, in one font and mostly one size."""
    style = Style.random(chance)
    canvas, y = Canvas(style), chance.uniform(6, 14)
    while y < SIDE - 6:
        size = style.size if chance.random() < 0.8 else chance.randint(13, 32)
        _row(canvas, chance, y, size)
        y += size * chance.uniform(1.15, 2)
    return canvas


def _row(canvas: Canvas, chance: Random, y: float, size: int) -> None:
    x = chance.uniform(2, 20)
    while x < SIDE - 12:
        if chance.random() < 0.12:
            wide = chance.randint(10, 40)
            colour = canvas.style.rgb(chance.choice(list(COLOURS)))
            canvas.draw.rectangle((x, y - 8, x + wide, y + 8), fill=colour)
            x += wide + 4
            continue
        word = "".join(chance.choice(GLYPHS) for _ in range(chance.randint(1, 6)))
        if x + canvas.width_of(word, size) > SIDE - 2:
            return
        canvas.write(word, x, y, "lm", size)
        x += canvas.width_of(word, size) + chance.uniform(6, 30)

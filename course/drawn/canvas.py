"""A small square picture to draw on, which remembers where each glyph went.

Knows nothing about charts or questions. Fonts come with matplotlib.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random

SIDE = 192  # pixels: the side of every picture that the course's own vision model reads
SMALLEST = 8  # pixels of a letter: smaller ones can't be read
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif")
COLOURS = {
    "red": (214, 39, 40), "blue": (40, 90, 200), "green": (44, 150, 60), "orange": (250, 130, 20),
    "purple": (135, 70, 175), "brown": (125, 80, 60), "pink": (240, 130, 190), "yellow": (235, 205, 40),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """What a picture looks like beside what it says."""

    font: str = "DejaVuSans"
    size: int = 15
    background: tuple[int, int, int] = (255, 255, 255)
    ink: tuple[int, int, int] = (20, 20, 20)
    grid: bool = False
    frame: bool = True
    title: str = ""
    shift: tuple[int, int] = (0, 0)
    fill: float = 0.7  # the part of its place that a bar takes
    hues: tuple[int, int, int] = (0, 0, 0)  # added to every colour

    @classmethod
    def random(cls, rng: Random, title: str = "", sizes: tuple[int, int] = (15, 18)) -> "Style":
        # The order of the draws is part of every seed's picture: the bundled model learned from these.
        return cls(
            font=rng.choice((*FONTS, FONTS[0])),
            size=rng.randint(*sizes),
            # white most of the time, else nearly white
            background=tuple(255 - rng.randint(0, 30) for _ in range(3)) if rng.random() < 0.3 else (255, 255, 255),
            ink=tuple(rng.randint(0, 70) for _ in range(3)),
            grid=rng.random() < 0.3,
            frame=rng.random() < 0.7,
            title=title,
            shift=(rng.randint(-5, 5), rng.randint(-4, 4)),
            fill=rng.uniform(0.5, 0.9),
            hues=tuple(rng.randint(-22, 22) for _ in range(3)),
        )

    def rgb(self, colour: str) -> tuple[int, ...]:
        return tuple(max(0, min(255, base + hue)) for base, hue in zip(COLOURS[colour], self.hues, strict=True))


@dataclass
class Canvas:
    """`image` is drawn on, and `glyphs` holds (character, x, y) of each glyph's middle."""

    style: Style = field(default_factory=Style)
    glyphs: list[tuple[str, float, float]] = field(default_factory=list)
    image: object = None  # a PIL image that is there already

    def __post_init__(self):
        from PIL import Image, ImageDraw

        self.image = self.image or Image.new("RGB", (SIDE, SIDE), self.style.background)
        self.draw = ImageDraw.Draw(self.image)

    def write(self, text: str, x: float, y: float, anchor: str = "mm", size=None, fill=None, halo=0) -> None:
        """Text with its middle (m), left (l) or right (r) end at x, and its middle at y; a halo keeps lines away."""
        face = font(self.style.font, size or self.style.size)
        ink, paper = fill or self.style.ink, self.style.background
        self.draw.text((x, y), text, fill=ink, font=face, anchor=anchor, stroke_width=halo, stroke_fill=paper)
        width = face.getlength(text)
        left = x - {"l": 0.0, "m": width / 2, "r": width}[anchor[0]]
        for place, character in enumerate(text):
            if character != " ":
                begin, end = face.getlength(text[:place]), face.getlength(text[: place + 1])
                self.glyphs.append((character, left + (begin + end) / 2, y))

    def width_of(self, text: str, size: int | None = None) -> float:
        return font(self.style.font, size or self.style.size).getlength(text)

    def size_for(self, text: str, room: float) -> int:
        """The style's size, or the largest smaller one at which the text fits into so many pixels."""
        sizes = range(self.style.size, SMALLEST, -1)
        return next((size for size in sizes if self.width_of(text, size) <= room), SMALLEST)


@lru_cache(maxsize=256)
def font(name: str, size: int):
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)

"""The text in a picture by a tool made for it: lines, where they stand, and how sure it is.

RapidOCR finds and reads the lines; its weights come in its wheel. Knows nothing about what a picture means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from slmlab.errors import NotHere
from slmlab.machine import best_threads
from slmlab.pictures import as_picture

SLIMMEST = 8  # times as long as wide: the tool enlarges the short side to 736 pixels, and 3 x 2,000 took 20 GB


@dataclass(frozen=True)
class Line:
    """A line of text in a picture: its box in pixels, and how sure the tool is of it, 0 to 1."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Page:
    """All lines of a picture. `rows` are those that stand at one height together, from left to right."""

    lines: tuple[Line, ...]

    @property
    def rows(self) -> list[list[Line]]:
        rows: list[list[Line]] = []
        for line in sorted(self.lines, key=lambda line: line.middle[1]):
            first = rows[-1][0] if rows else None
            if first and line.middle[1] - first.middle[1] < (first.bottom - first.top) / 2:
                rows[-1].append(line)
            else:
                rows.append([line])
        return [sorted(row, key=lambda line: line.left) for row in rows]

    @property
    def text(self) -> str:
        """The text alone: a line for each row, what stands apart in it two spaces apart."""
        return "\n".join("  ".join(line.text for line in row) for row in self.rows)

    def __iter__(self) -> Iterator[Line]:
        return (line for row in self.rows for line in row)

    def __str__(self):
        return self.text or "(no text was found)"


def read_text(image) -> Page:
    """The text in a picture: a path, bytes, a PIL image, an array or a figure."""
    picture = as_picture(image).image
    found = _reader()(_sheet(picture))
    if found.txts is None:
        return Page(())
    corners = [(*box.min(0), *box.max(0).clip(None, picture.size)) for box in found.boxes]
    read = zip(found.txts, corners, found.scores, strict=True)
    return Page(tuple(Line(text, *map(float, edges), float(score)) for text, edges, score in read))


def _sheet(image):
    """The pixels as the tool takes them, blue before red; what is long and thin lies on a broader white sheet."""
    import numpy as np
    from PIL import Image

    side = -(-max(image.size) // SLIMMEST)
    sheet = Image.new("RGB", (max(image.width, side), max(image.height, side)), "white")
    sheet.paste(image)
    return np.asarray(sheet)[:, :, ::-1]


@lru_cache(maxsize=1)
def _reader():
    """The tool, once: it takes half a second to begin."""
    try:
        from rapidocr import RapidOCR
    except ImportError as fault:
        raise NotHere("read_text needs RapidOCR, which isn't installed: pip install 'slmlab[ocr]'") from fault
    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,  # its guess which lines stand upside down turns a 6 that doesn't into a 9
        "EngineConfig.onnxruntime.intra_op_num_threads": best_threads(),
    }
    return RapidOCR(params=settings)

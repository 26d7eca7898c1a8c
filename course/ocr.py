"""The text in a picture by a tool made for it: lines, where they stand, and how sure it is; and a question about them.

RapidOCR finds and reads the lines; its weights come in its wheel. Knows nothing about what a picture means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from slmlab.errors import BadRequest, NotHere
from slmlab.machine import best_threads
from slmlab.pictures import as_pictures
from slmlab.records import Reply

SLIMMEST = 8  # times as long as wide: the tool enlarges the short side, and of a thread until no memory is left


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

    def __str__(self):
        return self.text


@dataclass(frozen=True)
class Page:
    """All lines of a picture, row by row as one reads, and the picture's size."""

    lines: tuple[Line, ...]
    width: int
    height: int

    @property
    def rows(self) -> list[list[Line]]:
        """The lines that stand at one height together, from left to right."""
        rows: list[list[Line]] = []
        for line in sorted(self.lines, key=lambda line: line.middle[1]):
            last = rows[-1] if rows else []
            beside = bool(last) and abs(line.middle[1] - last[0].middle[1]) < (last[0].bottom - last[0].top) / 2
            rows = rows if beside else [*rows, []]
            rows[-1].append(line)
        return [sorted(row, key=lambda line: line.left) for row in rows]

    @property
    def text(self) -> str:
        """The text alone: a line for each row, what stands apart in it two spaces apart."""
        return "\n".join("  ".join(line.text for line in row) for row in self.rows)

    def with_boxes(self) -> str:
        """The text with the place of each piece, as a model of text can be told about a page."""
        return "\n".join(
            f"({line.middle[0]:.0f}, {line.middle[1]:.0f}) {line.text}" for row in self.rows for line in row
        )

    def __iter__(self) -> Iterator[Line]:
        return iter(line for row in self.rows for line in row)

    def __len__(self) -> int:
        return len(self.lines)

    def __str__(self):
        return self.text or "(no text was found)"


def read_text(image) -> Page:
    """The text in a picture: a path, bytes, a PIL image, an array or a figure."""
    pictures = as_pictures(image)
    if len(pictures) != 1:
        raise BadRequest(f"read_text takes one picture, not {len(pictures)}.")
    picture = pictures[0].image
    found = _reader()(_sheet(picture))
    if found.txts is None:
        return Page((), picture.width, picture.height)
    lines = [
        Line(text, *(float(edge) for edge in (*box.min(0), *box.max(0).clip(None, picture.size))), float(score))
        for text, box, score in zip(found.txts, found.boxes, found.scores, strict=True)
    ]
    return Page(tuple(lines), picture.width, picture.height)


def ask_about_text(model, image, question: str, boxes: bool = False, **settings) -> Reply:
    """OCR, then ask: the text of a picture is read, and any model of text is asked about it. It never sees a colour or
    a shape. With `boxes`, each piece comes with its place."""
    if not isinstance(question, str) or not question.strip():
        raise BadRequest("The question is empty. Write something for the model to answer.")
    page = image if isinstance(image, Page) else read_text(image)
    if not page.lines:
        raise BadRequest("No text was found in this picture, so there is nothing to hand to the model.")
    head = (
        "A picture holds this text, each piece after its place (pixels across, down):" if boxes else "A picture says:"
    )
    text = page.with_boxes() if boxes else page.text
    return model.ask(f"{head}\n{text}\n\n{question}", **settings)


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
        raise NotHere("read_text needs RapidOCR, which isn't installed: pip install rapidocr") from fault
    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,  # its guess which lines stand upside down turns a 6 that doesn't into a 9
        "EngineConfig.onnxruntime.intra_op_num_threads": best_threads(),
    }
    return RapidOCR(params=settings)

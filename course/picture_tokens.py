"""What a picture costs in tokens, in each model that sees: the arithmetic of their image processors, without them.

A picture is cut into crops, and each crop is a fixed number of tokens. Knows nothing about loading a model.
"""

from dataclasses import dataclass
from math import ceil, floor, prod

from slmlab.errors import UnknownName, nearest


@dataclass(frozen=True)
class ImageTokens:
    """The bill for one picture: `tokens` of the context, for a grid of `rows` x `columns` crops, and how it adds up."""

    model: str
    rows: int
    columns: int
    tokens: int
    sum: str


def image_tokens(model: str, width: int, height: int, crops: int | None = None) -> ImageTokens:
    """What a picture of this size costs in a model, with at most so many crops; None is the model's own default."""
    if model not in _BILLS:
        raise UnknownName(f"No image processor is known for {model!r}. {nearest(str(model), list(_BILLS))}.")
    bill, default = _BILLS[model]
    return bill(model, width, height, crops or default)


def _phi3(model: str, width: int, height: int, crops: int) -> ImageTokens:
    """Crops of 336 pixels: as many columns as the crops allow at the picture's own shape. 144 tokens a crop and for
    the whole picture, 12 line ends for each row of them, one separator."""
    long, short = max(width, height), min(width, height)
    ratio, columns = long / short, 1
    while columns * ceil(columns / ratio) <= crops:
        columns += 1
    columns -= 1
    rows = ceil(int(columns * 336 / ratio) / 336)
    if height > width:
        rows, columns = columns, rows
    tokens = (rows * columns + 1) * 144 + 1 + (rows + 1) * 12
    how = f"({rows} x {columns} + 1) x 144 + 1 + ({rows} + 1) x 12"
    return ImageTokens(model, rows, columns, tokens, how)


def _phi4(model: str, width: int, height: int, crops: int) -> ImageTokens:
    """Crops of 448 pixels at the picture's own size, as far as the crops allow; 16 x 16 tokens a crop less its empty
    border, a line end for each row of tokens, and the whole picture once more with 16 + 1 beside it."""
    columns, rows = ceil(width / 448), ceil(height / 448)
    if rows * columns > crops:
        columns, rows = _closest(width, height, crops)
    wide, tall = 448 * columns / width, 448 * rows / height
    empty_right = 448 * columns - int(width * tall) if wide >= tall else 0
    empty_below = 448 * rows - int(height * wide) if wide < tall else 0
    across = ceil((32 * columns - floor(empty_right / 14)) / 2)
    down = ceil((32 * rows - floor(empty_below / 14)) / 2)
    tokens = 256 + 16 + 1 + down * across + down
    return ImageTokens(model, rows, columns, tokens, f"256 + 16 + 1 + {down} x {across} + {down}")


def _closest(width: int, height: int, crops: int) -> tuple[int, int]:
    """The columns and rows of at most so many crops whose shape is nearest to the picture's."""
    best, distance = (1, 1), float("inf")
    shapes = [(columns, rows) for columns in range(1, crops + 1) for rows in range(1, crops // columns + 1)]
    for shape in sorted(shapes, key=prod):
        off = abs(width / height - shape[0] / shape[1])
        large = width * height > 0.5 * 448 * 448 * prod(shape)
        if off < distance or (off == distance and large):
            best, distance = shape, off
    return best


def _one_square(model: str, width: int, height: int, crops: int) -> ImageTokens:
    return ImageTokens(model, 1, 1, 144, "12 x 12 patches of 16 pixels")


_BILLS = {  # and the crops that its own configuration allows
    "tiny-vlm": (_one_square, 1),
    "phi-3-vision": (_phi3, 16),
    "phi-3.5-vision": (_phi3, 4),
    "phi-4-multimodal": (_phi4, 36),
}

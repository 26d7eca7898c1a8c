"""Pictures of pictures: patches, what the encoder makes of them, where a model looks.

Pure: takes records, pictures and texts, gives matplotlib Axes with a sentence under them.
"""

from collections.abc import Sequence

import numpy as np

from course.inside.vision import Gaze, Seen
from slmlab.plots import style as drawing
from slmlab.plots.pictures import GAP, bare, frame, panel
from slmlab.plots.style import listed, visible

FAINT = 0.02  # a patch with less of the attention is never drawn at its brightest: nothing must not look like something


def plot_patches(seen: Seen, *, numbers: bool = True, ax=None):
    """A picture as the model takes it, cut into patches; each becomes one token, counted as one reads: the first row
    and column say how."""
    rows, columns = seen.projected.shape[:2]
    with drawing.canvas(ax, 6.2) as ax:
        ax.imshow(seen.pixels, extent=(0, columns, rows, 0), interpolation="nearest")
        _grid(ax, rows, columns)
        first = [*((0, column) for column in range(columns)), *((row, 0) for row in range(1, rows))]
        for row, column in first if numbers else ():
            style = {"fontsize": 8, "color": drawing.GREY, "ha": "left", "va": "top"}
            ax.text(column + 0.06, row + 0.05, str(row * columns + column + 1), gid="patch", **style)
        bare(ax)
        height, width = seen.pixels.shape[:2]
        drawing.finish(
            ax,
            f"{width} x {height} pixels in {rows} x {columns} patches of {height // rows} x {width // columns}: "
            f"{seen.tokens} tokens for {seen.model}, whatever is in the picture.",
        )
    return ax


def plot_seen(seen: Seen, patch: tuple[int, int] = (0, 0), *, ax=None):
    """A picture, its patches coloured by what the encoder found in them, and how alike they are to one of them."""
    rows, columns = seen.projected.shape[:2]
    alike = seen.likeness(*patch)
    panels = [
        ("the picture", seen.pixels, {}),
        ("what the encoder makes of it", seen.as_colours(), {}),
        ("alike to the marked patch", alike, {"cmap": "cividis", "vmin": -0.2, "vmax": 1}),
    ]
    with drawing.canvas(ax, 3.0) as ax:
        for number, (name, pixels, options) in enumerate(panels):
            panel(ax, number, name, pixels, **options)
        x, y = (patch[1] / columns, patch[0] / rows)
        for number in (0, 2):
            frame(ax, number * (1 + GAP) + x, y, 1 / columns, 1 / rows)
        bare(ax, len(panels))
        share = float((alike > 0.6).mean())
        drawing.finish(
            ax,
            "Middle: false colours; patches whose vectors are alike get colours that are alike. Right: the yellower, "
            f"the more alike to the marked patch, number {patch[0] * columns + patch[1] + 1}; {share:.0%} of the "
            "patches are much like it (cosine above 0.6).",
        )
    return ax


def plot_gaze(gaze: Gaze, texts: Sequence[str], picture: int = 0, layer: int | None = None, last=False, *, ax=None):
    """Where a model looked as it began parts of its answer, the first time that they come or the last: the picture
    once for each part, lit where it looked, on one scale."""
    texts = listed([texts] if isinstance(texts, str) else texts, "part of the answer")
    places = [gaze.place_of(text, last) for text in texts]
    heats = [gaze.on(place, picture, layer) for place in places]
    most = max(float(heat.max()) for heat in heats)
    pixels = np.asarray(gaze.pictures[picture].image, dtype=np.float32) / 255
    with drawing.canvas(ax, 8.0 / max(len(texts), 2) * 0.95) as ax:
        for number, (text, heat) in enumerate(zip(texts, heats, strict=True)):
            light = np.kron(heat / max(most, FAINT), np.ones((8, 8)))
            panel(ax, number, f"before {visible(text.strip())}", _lit(pixels, light))
        bare(ax, len(texts))
        where = "all layers" if layer is None else f"layer {layer}"
        parts = [
            f"{gaze.share(place):.0%} before {visible(text.strip())}" for text, place in zip(texts, places, strict=True)
        ]
        drawing.finish(
            ax,
            f"Bright is where {gaze.model} looks as it chooses the next token (mean of the heads, {where}); the "
            f"brightest patch has {most:.1%} of its attention. The whole picture gets {', '.join(parts)}; the rest "
            "goes to the text.",
        )
    return ax


def _lit(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture, dark where the heat is low and as it is where the heat is high."""
    rows = np.linspace(0, heat.shape[0] - 1, pixels.shape[0]).round().astype(int)
    columns = np.linspace(0, heat.shape[1] - 1, pixels.shape[1]).round().astype(int)
    light = 0.25 + 0.75 * np.sqrt(heat[rows][:, columns])[:, :, None]
    return pixels * light


def _grid(ax, rows: int, columns: int) -> None:
    for row in range(rows + 1):
        ax.axhline(row, color="#7a9cc6", linewidth=0.7)
    for column in range(columns + 1):
        ax.axvline(column, color="#7a9cc6", linewidth=0.7)

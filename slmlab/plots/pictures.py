"""Pictures side by side, as a model is shown them. Takes pictures, gives matplotlib Axes with a sentence under them."""

from collections.abc import Sequence

import numpy as np

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, listed

GAP = 0.12  # between panels, as a part of one


def pictures(pictures: Sequence, names: Sequence[str] = (), *, ax=None):
    """Pictures side by side, numbered or named: what is shown to a model."""
    images = [getattr(picture, "image", picture) for picture in listed(pictures, "picture")]
    names = list(names) or [str(number) for number in range(1, len(images) + 1)]
    if len(names) != len(images):
        raise BadRequest(f"There must be as many names as pictures: {len(names)} and {len(images)}.")
    with drawing.canvas(ax, 9.0 / max(len(images), 3)) as ax:
        for number, (name, image) in enumerate(zip(names, images, strict=True)):
            panel(ax, number, name, np.asarray(image.convert("RGB")))
        bare(ax, len(images))
        sizes = sorted({image.size for image in images})
        told = ", ".join(f"{width} x {height}" for width, height in sizes)
        drawing.finish(ax, f"{len(images)} picture{'s' * (len(images) != 1)} of {told} pixels.")
    return ax


def panel(ax, number: int, name: str, pixels: np.ndarray, **options) -> None:
    left = number * (1 + GAP)
    ax.imshow(pixels, extent=(left, left + 1, 1, 0), interpolation="nearest", **options)
    frame(ax, left, 0, 1, 1, colour="#bbbbbb", weight=1)
    ax.text(left + 0.5, -0.04, drawable(name), ha="center", va="bottom", fontsize=12)


def frame(ax, x: float, y: float, width: float, height: float, colour: str = drawing.ORANGE, weight: float = 3) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=weight))


def bare(ax, panels: int = 0) -> None:
    if panels:
        ax.set_xlim(-0.02, panels * (1 + GAP) - GAP + 0.02)
        ax.set_ylim(1.02, -0.12)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.xaxis.set_visible(False)

"""The same truth in pictures unlike those of the training: another library's charts, photographs, small print.

Each takes a scene or its numbers and gives a scene with the same questions, so that only the look differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from random import Random

from course.drawn.canvas import SIDE, Canvas
from course.drawn.charts import Row
from course.drawn.questions import Scene
from course.drawn.scenes import bars
from slmlab.errors import BadRequest


def matplotlib_bars(rows: Sequence[Row]) -> Scene:
    """A bar chart as matplotlib draws it when it is left alone, but for its size; values printed by bar_label."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scene = bars(rows)
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = Figure(figsize=(SIDE / 100, SIDE / 100), dpi=100, layout="tight")
        ax = figure.add_subplot()
        colours = [tuple(part / 255 for part in scene.canvases[0].style.rgb(row.colour)) for row in rows]
        ax.bar_label(ax.bar([row.label for row in rows], [row.value for row in rows], color=colours))
        buffer = BytesIO()
        FigureCanvasAgg(figure).print_png(buffer)
    return _redrawn(scene, [_opened(buffer)])


def photographed(scene: Scene, seed: int = 0) -> Scene:
    """As if each picture had been printed and photographed: tilted, unevenly lit, a little soft, with noise."""
    return _redrawn(scene, [_photo(picture, Random(f"{seed}:{place}")) for place, picture in enumerate(scene.pictures)])


def shrunk(scene: Scene, share: float = 0.5) -> Scene:
    """Each picture at a part of its size, in the middle of an empty one: the same things in fewer pixels."""
    if not 0.05 <= share <= 1:
        raise BadRequest(f"share={share!r}: from 0.05 to 1.")
    return _redrawn(scene, [_small(picture, share) for picture in scene.pictures])


def changed(scene: Scene, change: Callable) -> Scene:
    """The scene with each picture changed by a function of it: PIL image in, PIL image of the same size out."""
    return _redrawn(scene, [change(picture) for picture in scene.pictures])


LOOKS = {  # what each makes of a scene of bars; those with chance in them take a seed
    "as trained": lambda scene, seed: scene,
    "drawn by matplotlib": lambda scene, seed: replace(matplotlib_bars(_rows_of(scene)), questions=scene.questions),
    "three quarters of the size": lambda scene, seed: shrunk(scene, 0.75),
    "half the size": lambda scene, seed: shrunk(scene, 0.5),
    "photographed": lambda scene, seed: photographed(scene, seed),
}


def _rows_of(scene: Scene) -> list[Row]:
    """The rows that a bar chart was drawn from, out of its reading."""
    if scene.kind != "bars":
        raise BadRequest(f"Bars with their values printed are redrawn, not a scene of kind {scene.kind!r}.")
    parts = [part.rsplit(" ", 2) for part in scene.reading.split(", ")]
    return [Row(label, int(value), colour) for label, colour, value in parts]


def _redrawn(scene: Scene, images: list) -> Scene:
    canvases = tuple(_canvas(old, image) for old, image in zip(scene.canvases, images, strict=True))
    return replace(scene, canvases=canvases)


def _canvas(old: Canvas, image) -> Canvas:
    new = Canvas(old.style)
    new.image = image
    return new


def _opened(buffer: BytesIO):
    from PIL import Image

    return Image.open(BytesIO(buffer.getvalue())).convert("RGB").resize((SIDE, SIDE))


def _photo(picture, chance: Random):
    import numpy as np
    from PIL import Image, ImageFilter

    angle, paper = chance.uniform(2, 5) * chance.choice((-1, 1)), (205, 195, 180)
    turned = picture.resize((int(SIDE * 0.92),) * 2).rotate(angle, expand=True, fillcolor=paper, resample=Image.BICUBIC)
    photo = Image.new("RGB", (SIDE, SIDE), paper)
    photo.paste(turned.resize((SIDE, SIDE)))
    pixels = np.asarray(photo.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    across = np.linspace(chance.uniform(0.65, 0.8), 1.0, SIDE, dtype=np.float32)
    noise = np.random.default_rng(chance.randrange(2**32)).normal(0, 6, pixels.shape)
    return Image.fromarray((pixels * across[None, :, None] + noise).clip(0, 255).astype(np.uint8))


def _small(picture, share: float):
    from PIL import Image

    side = max(8, round(SIDE * share))
    small, empty = picture.resize((side, side), Image.LANCZOS), Image.new("RGB", (SIDE, SIDE), picture.getpixel((0, 0)))
    empty.paste(small, ((SIDE - side) // 2,) * 2)
    return empty

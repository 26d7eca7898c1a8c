"""The same truth in pictures unlike those of the training: another library's charts, photographs, small print.

Each takes a scene of one picture and gives one with the same questions, so that only the look differs.
"""

from dataclasses import replace
from io import BytesIO
from random import Random

from course.drawn.canvas import COLOURS, SIDE, Canvas
from course.drawn.questions import Scene


def by_matplotlib(scene: Scene) -> Scene:
    """The bar chart as matplotlib draws it when it is left alone, but for its size; values printed by bar_label."""
    import matplotlib
    from matplotlib.figure import Figure
    from PIL import Image

    labels, colours, values = zip(*(row.rsplit(" ", 2) for row in scene.reading.split(", ")), strict=True)
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = Figure(figsize=(SIDE / 100, SIDE / 100), dpi=100, layout="tight")
        ax = figure.add_subplot()
        fills = [tuple(part / 255 for part in COLOURS[colour]) for colour in colours]
        ax.bar_label(ax.bar(labels, [int(value) for value in values], color=fills))
        png = BytesIO()
        figure.savefig(png)
    return _redrawn(scene, Image.open(png).convert("RGB").resize((SIDE, SIDE)))


def photographed(scene: Scene, seed: int = 0) -> Scene:
    """As if the picture had been printed and photographed: tilted, unevenly lit, a little soft, with noise."""
    import numpy as np
    from PIL import Image, ImageFilter

    rng = Random(f"{seed}:0")
    angle, paper = rng.uniform(2, 5) * rng.choice((-1, 1)), (205, 195, 180)
    small = scene.pictures[0].resize((int(SIDE * 0.92),) * 2)
    turned = small.rotate(angle, expand=True, fillcolor=paper, resample=Image.BICUBIC)
    photo = turned.resize((SIDE, SIDE)).filter(ImageFilter.GaussianBlur(0.6))
    pixels = np.asarray(photo, dtype=np.float32)
    light = np.linspace(rng.uniform(0.65, 0.8), 1.0, SIDE, dtype=np.float32)  # it comes from the right
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 6, pixels.shape)
    return _redrawn(scene, Image.fromarray((pixels * light[None, :, None] + noise).clip(0, 255).astype(np.uint8)))


def shrunk(scene: Scene, share: float) -> Scene:
    """The picture at a part of its size, in the middle of an empty one: the same things in fewer pixels."""
    from PIL import Image

    picture, side = scene.pictures[0], round(SIDE * share)
    empty = Image.new("RGB", (SIDE, SIDE), picture.getpixel((0, 0)))
    empty.paste(picture.resize((side, side), Image.LANCZOS), ((SIDE - side) // 2,) * 2)
    return _redrawn(scene, empty)


LOOKS = {  # what each makes of a scene of bars; those with chance in them take a seed
    "as trained": lambda scene, seed: scene,
    "drawn by matplotlib": lambda scene, seed: by_matplotlib(scene),
    "three quarters of the size": lambda scene, seed: shrunk(scene, 0.75),
    "half the size": lambda scene, seed: shrunk(scene, 0.5),
    "photographed": photographed,
}


def _redrawn(scene: Scene, image) -> Scene:
    return replace(scene, canvases=(Canvas(scene.canvases[0].style, image=image),))

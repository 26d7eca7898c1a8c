"""The same truth in pictures unlike those of the training: photographs, small print.

Each takes a scene of one picture and gives one with the same questions, so that only the look differs.
"""

from dataclasses import replace
from random import Random

from course.drawn.canvas import SIDE, Canvas
from course.drawn.questions import Scene


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
    return redrawn(scene, Image.fromarray((pixels * light[None, :, None] + noise).clip(0, 255).astype(np.uint8)))


def shrunk(scene: Scene, share: float) -> Scene:
    """The picture at a part of its size, in the middle of an empty one: the same things in fewer pixels."""
    from PIL import Image

    picture, side = scene.pictures[0], round(SIDE * share)
    empty = Image.new("RGB", (SIDE, SIDE), picture.getpixel((0, 0)))
    empty.paste(picture.resize((side, side), Image.LANCZOS), ((SIDE - side) // 2,) * 2)
    return redrawn(scene, empty)


LOOKS = {  # what each makes of a scene of bars; those with chance in them take a seed
    "as trained": lambda scene, seed: scene,
    "half the size": lambda scene, seed: shrunk(scene, 0.5),
    "photographed": photographed,
}


def redrawn(scene: Scene, image) -> Scene:
    return replace(scene, canvases=(Canvas(scene.canvases[0].style, image=image),))

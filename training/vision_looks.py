"""Every look that is measured: those of the lesson, and two more, in the order of the scores."""

from io import BytesIO

from course.drawn.canvas import COLOURS, SIDE
from course.drawn.looks import LOOKS as SHOWN
from course.drawn.looks import redrawn, shrunk
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
    return redrawn(scene, Image.open(png).convert("RGB").resize((SIDE, SIDE)))


LOOKS = {
    "as trained": SHOWN["as trained"],
    "drawn by matplotlib": lambda scene, seed: by_matplotlib(scene),
    "three quarters of the size": lambda scene, seed: shrunk(scene, 0.75),
    **SHOWN,
}

"""What came of asking about pictures: answers beside what was asked, and scores by form of question.

Pure: takes records, pictures and texts, gives figures with a sentence under them.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np

from course.drawn.questions import Scene, answer_of
from course.drawn.scores import GATE
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, listed

GAP = 0.12  # between panels, as a part of one


def answers(scenes: Sequence[Scene], questions: Sequence, replies: Sequence[str]):
    """Pictures with a question each, what the model said, and whether that is what the picture was drawn from."""
    rows = listed(zip(scenes, questions, map(answer_of, replies), strict=True), "scene")
    down = -(-len(rows) // 5)
    across = -(-len(rows) // down)
    step = min(8 / max(across, 3), 4.6 / down)  # inches from picture to picture
    side, high = step / (1 + GAP), step / (1 + GAP) + 0.78  # under a picture stand four lines
    with drawing.canvas(down * high) as ax:
        for number, (scene, question, said) in enumerate(rows):
            left, top = number % across * step, number // across * high
            _picture(ax, scene.pictures, left, top, side)
            right = said == question.answer
            sign = "\N{CHECK MARK}" if right else f"\N{BALLOT X} it is {question.answer}"
            asked = "\n".join(wrap(drawable(question.text), int(step / 0.083), max_lines=2, placeholder=" …"))
            style = {"ha": "left", "va": "top", "clip_on": False}
            ax.text(left, top + side + 0.03, asked, fontsize=10, **style)
            verdict = "\n".join(wrap(f"{drawable(said, most=20)}  {sign}", int(step / 0.095)))
            colour = drawing.GREEN if right else drawing.ORANGE
            ax.text(left, top + side + 0.38, verdict, fontsize=11, color=colour, gid="verdict", **style)
        ax.set(xlim=(-0.02, across * step), ylim=(down * high, -0.02))
        bare(ax)
        exact = sum(said == question.answer for _, question, said in rows)
        words = f"{exact} of {len(rows)} answers are exactly what the picture was drawn from."
        return drawing.finish(ax, words, pictures=True)


def scores(named: Mapping):
    """How often questions of each form, by the name they get here, are answered exactly, with the interval; beside it
    no picture, and OCR."""
    names, forms = zip(*listed(named.items(), "form of question"), strict=True)
    with drawing.canvas(0.5 + 0.46 * len(forms), legend_rows=2, rows=names) as ax:
        for y, one in enumerate(forms):
            colour = drawing.BLUE if one.relied_on else drawing.ORANGE
            ax.plot(one.model.interval, (y, y), color=colour, linewidth=5, alpha=0.45)
            ax.plot(one.model.share, y, "o" if one.relied_on else "D", color=colour, markersize=9)
            ax.plot(one.blind, y, "|", color=drawing.INK, markersize=17, markeredgewidth=2.5)
            if one.ocr is not None:
                ax.plot(one.ocr.interval, (y + 0.24, y + 0.24), color=drawing.GREEN, linewidth=2, alpha=0.45)
                ax.plot(one.ocr.share, y + 0.24, "^", color=drawing.GREEN, markersize=8)
        ax.axvline(GATE, color="#8c8c8c", linewidth=1.2, linestyle=":")
        ax.set_xlim(-0.02, 1.02)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        ax.set_xlabel("exact answers")
        drawing.legend(ax, _score_handles(), columns=2)
        passed, unread = sum(one.relied_on for one in forms), sum(one.ocr is None for one in forms)
        sentence = f"{passed} of {len(forms)} kinds of question reach {GATE:.0%}. Pale lines are 95% intervals."
        sentence += f" {unread} of the kinds can't be answered from text alone. OCR has no mark there."
        return drawing.finish(ax, sentence)


def _score_handles() -> list:
    from matplotlib.lines import Line2D

    keys = [
        ("o", drawing.BLUE, f"model, {GATE:.0%} or more", {}),
        ("D", drawing.ORANGE, "model, less: not relied on", {}),
        ("|", drawing.INK, "no picture", {"markersize": 14, "markeredgewidth": 2.5}),
        ("^", drawing.GREEN, "OCR and rules", {}),
    ]
    return [Line2D([], [], linestyle="", marker=mark, color=at, label=name, **more) for mark, at, name, more in keys]


def _picture(ax, pictures: list, left: float, top: float, whole: float) -> None:
    """One picture as a square; several side by side in the same square."""
    wide = whole / len(pictures)
    for number, picture in enumerate(pictures):
        x, side = left + number * wide, wide * 0.97
        ax.imshow(np.asarray(picture), extent=(x, x + side, top + side, top), interpolation="antialiased")
        frame(ax, x, top, side, side, colour="#bbbbbb", weight=1)


def pictures(pictures: Sequence):
    """Pictures side by side, numbered: what is shown to a model."""
    images = [getattr(picture, "image", picture) for picture in listed(pictures, "picture")]
    with drawing.canvas(9.0 / max(len(images), 3)) as ax:
        for number, image in enumerate(images):
            panel(ax, number, str(number + 1), image.convert("RGB"))
        bare(ax, len(images))
        sizes = ", ".join(f"{width} x {height}" for width, height in sorted({image.size for image in images}))
        words = f"{len(images)} picture{'s' * (len(images) != 1)} of {sizes} pixels."
        return drawing.finish(ax, words, pictures=True)


def panel(ax, number: int, name: str, picture, **options) -> None:
    left = number * (1 + GAP)
    ax.imshow(picture, extent=(left, left + 1, 1, 0), interpolation="nearest", **options)
    frame(ax, left, 0, 1, 1, colour="#bbbbbb", weight=1)
    ax.text(left + 0.5, -0.04, drawable(name), ha="center", va="bottom", fontsize=12)


def frame(ax, x: float, y: float, width: float, height: float, colour: str = drawing.ORANGE, weight: float = 3) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=weight))


def bare(ax, panels: int = 0) -> None:
    if panels:
        ax.set(xlim=(-0.02, panels * (1 + GAP) - GAP + 0.02), ylim=(1.02, -0.12))
    ax.set_aspect("equal")
    ax.set_axis_off()

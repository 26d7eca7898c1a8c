"""Pictures of pictures: patches, what the encoder makes of them, where a model looks, answers beside what was asked.

Pure: takes records, pictures and texts, gives matplotlib Axes with a sentence under them.
"""

from collections.abc import Sequence

import numpy as np

from slmlab.errors import BadRequest
from slmlab.image_tokens import ImageTokens
from slmlab.seeing import Gaze, Seen
from slmlab.teaching import drawing
from slmlab.teaching.drawing import drawable, listed, visible
from slmlab.teaching.questions import Scene, answer_of
from slmlab.teaching.vision_scores import GATE

_GAP = 0.12  # between panels, as a part of one


def plot_patches(seen: Seen, *, numbers: bool = True, ax=None):
    """A picture as the model takes it, cut into patches; each becomes one token, counted as one reads."""
    rows, columns = seen.projected.shape[:2]
    with drawing.canvas(ax, 6.2) as ax:
        ax.imshow(seen.pixels, extent=(0, columns, rows, 0), interpolation="nearest")
        _grid(ax, rows, columns)
        for place in range(rows * columns) if numbers else ():
            row, column = divmod(place, columns)
            style = {"fontsize": 8, "color": drawing.GREY, "ha": "left", "va": "top"}
            ax.text(column + 0.06, row + 0.05, str(place + 1), gid="patch", **style)
        _bare(ax)
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
            _panel(ax, number, name, pixels, **options)
        x, y = (patch[1] / columns, patch[0] / rows)
        for number in (0, 2):
            _frame(ax, number * (1 + _GAP) + x, y, 1 / columns, 1 / rows)
        _bare(ax, len(panels))
        share = float((alike > 0.6).mean())
        drawing.finish(
            ax,
            "Middle: patches of one colour are alike to the encoder, by the three directions they differ most in. "
            f"Right: {share:.0%} of the patches are much like the marked one (cosine above 0.6).",
        )
    return ax


def plot_gaze(gaze: Gaze, texts: Sequence[str], picture: int = 0, layer: int | None = None, last=False, *, ax=None):
    """Where a model looked while it wrote parts of its answer, the first time that they come or the last: the picture
    once for each part, lit where it looked."""
    texts = listed([texts] if isinstance(texts, str) else texts, "part of the answer")
    places = [gaze.place_of(text, last) for text in texts]
    heats = [gaze.on(place, picture, layer) for place in places]
    pixels = np.asarray(gaze.pictures[picture].image, dtype=np.float32) / 255
    with drawing.canvas(ax, 8.0 / max(len(texts), 2) * 0.95) as ax:
        for number, (text, heat) in enumerate(zip(texts, heats, strict=True)):
            bright = np.kron(heat / max(heat.max(), 1e-9), np.ones((8, 8)))
            _panel(ax, number, f"before {visible(text.strip())}", _lit(pixels, bright))
        _bare(ax, len(texts))
        where = "all layers" if layer is None else f"layer {layer}"
        parts = [
            f"{gaze.share(place):.0%} before {visible(text.strip())}" for text, place in zip(texts, places, strict=True)
        ]
        drawing.finish(
            ax,
            f"Bright is where {gaze.model} looks as it chooses the next letter (mean of the heads, {where}). Of its "
            f"attention the picture gets {', '.join(parts)}; the rest goes to the text.",
        )
    return ax


def plot_answers(scenes: Sequence[Scene], questions: Sequence, replies: Sequence[str], *, ax=None):
    """Pictures with a question each, what the model said, and whether that is what the picture was drawn from."""
    given = [list(one) for one in (scenes, questions, replies)]
    if len({len(one) for one in given}) > 1:
        raise BadRequest("There must be as many scenes, questions and replies: {}, {} and {}.".format(*map(len, given)))
    rows = listed(zip(*given, strict=True), "scene")
    across = min(3, len(rows))
    down = -(-len(rows) // across)
    right = [answer_of(str(reply)) == question.answer for _, question, reply in rows]
    with drawing.canvas(ax, down * 3.25) as ax:
        for number, (scene, question, reply) in enumerate(rows):
            row, column = divmod(number, across)
            left, top = column * (1 + _GAP), row * 1.42
            _picture(ax, scene.pictures, left, top)
            said = drawable(answer_of(str(reply)))
            sign = "\N{CHECK MARK}" if right[number] else f"\N{BALLOT X} it is {question.answer}"
            style = {"ha": "left", "va": "top", "clip_on": False}
            ax.text(left, top + 1.03, drawable(_short(question.text, 34)), fontsize=11, **style)
            colour = drawing.GREEN if right[number] else drawing.ORANGE
            ax.text(left, top + 1.17, f"{_short(said, 20)}  {sign}", fontsize=13, color=colour, gid="verdict", **style)
        ax.set_xlim(-0.02, across * (1 + _GAP) - _GAP + 0.02)
        ax.set_ylim(down * 1.42 - 0.02, -0.02)
        ax.set_aspect("equal")
        ax.set_axis_off()
        ax.xaxis.set_visible(False)
        drawing.finish(ax, f"{sum(right)} of {len(rows)} answers are exactly what the picture was drawn from.")
    return ax


def plot_scores(forms: Sequence, *, ax=None):
    """How often each form of question is answered exactly, with its interval; beside it the opponents."""
    forms = listed(forms, "form of question")
    with drawing.canvas(ax, 0.5 + 0.46 * len(forms), legend_rows=2) as ax:
        for y, one in enumerate(forms):
            colour = drawing.BLUE if one.relied_on else drawing.ORANGE
            ax.plot((one.model.low, one.model.high), (y, y), color=colour, linewidth=5, alpha=0.45)
            ax.plot(one.model.share, y, "o" if one.relied_on else "D", color=colour, markersize=9)
            ax.plot(one.blind, y, "|", color=drawing.INK, markersize=17, markeredgewidth=2.5)
            if one.ocr is not None:
                ax.plot(one.ocr.share, y + 0.22, "^", color=drawing.GREEN, markersize=8)
        ax.axvline(GATE, color="#8c8c8c", linewidth=1.2, linestyle=":")
        drawing.name_rows(ax, [one.form for one in forms])
        ax.set_xlim(-0.02, 1.02)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        ax.set_xlabel("exact answers")
        drawing.legend(ax, _score_handles(), columns=2)
        passed = sum(one.relied_on for one in forms)
        untold = sum(one.ocr is None for one in forms)
        drawing.finish(
            ax,
            f"{passed} of {len(forms)} forms reach {GATE:.0%}; bars are 95% intervals. {untold} of them can't be "
            "answered from text alone, so OCR has no mark there.",
        )
    return ax


def plot_image_tokens(bills: Sequence[ImageTokens], context: int = 131_072, *, ax=None):
    """What pictures cost in tokens, one bar each, and how many of them a context holds."""
    bills = listed(bills, "bill of image_tokens")
    names = [f"{one.model}, {one.width} x {one.height}, {_crops(one)}" for one in bills]
    most = max(one.tokens for one in bills)
    with drawing.canvas(ax, 0.3 + 0.5 * len(bills)) as ax:
        for y, one in enumerate(bills):
            ax.barh(y, one.tokens, height=0.6, color=drawing.COLOURS[y % len(drawing.COLOURS)])
            ax.text(one.tokens + most * 0.012, y, f"{one.tokens:,}", va="center", fontsize=13)
        drawing.name_rows(ax, names)
        ax.set_xlim(0, most * 1.12)
        ax.set_xlabel("tokens of the context that one picture takes")
        dear = max(bills, key=lambda one: one.tokens)
        drawing.finish(
            ax,
            f"At {dear.tokens:,} tokens each, {context // dear.tokens} pictures fill a context of {context:,}, and "
            "nothing has been asked yet.",
        )
    return ax


def _crops(bill: ImageTokens) -> str:
    return "1 square" if bill.crops == 1 else f"{bill.rows} x {bill.columns} crops"


def _score_handles() -> list:
    from matplotlib.lines import Line2D

    plain = {"linestyle": ""}
    return [
        Line2D([], [], marker="o", color=drawing.BLUE, label=f"the model: {GATE:.0%} or more", **plain),
        Line2D([], [], marker="D", color=drawing.ORANGE, label="the model: less, not relied on", **plain),
        Line2D([], [], marker="|", color=drawing.INK, markersize=14, markeredgewidth=2.5, label="no picture", **plain),
        Line2D([], [], marker="^", color=drawing.GREEN, label="OCR and rules", **plain),
    ]


def _picture(ax, pictures: list, left: float, top: float) -> None:
    """One picture as a square of side 1; several side by side in the same square."""
    wide = 1 / len(pictures)
    for number, picture in enumerate(pictures):
        at = left + number * wide
        ax.imshow(
            np.asarray(picture), extent=(at, at + wide * 0.97, top + wide * 0.97, top), interpolation="antialiased"
        )
        _frame(ax, at, top, wide * 0.97, wide * 0.97, colour="#bbbbbb", weight=1)


def _panel(ax, number: int, name: str, pixels: np.ndarray, **options) -> None:
    left = number * (1 + _GAP)
    ax.imshow(pixels, extent=(left, left + 1, 1, 0), interpolation="nearest", **options)
    _frame(ax, left, 0, 1, 1, colour="#bbbbbb", weight=1)
    ax.text(left + 0.5, -0.04, drawable(name), ha="center", va="bottom", fontsize=12)


def _frame(
    ax, x: float, y: float, width: float, height: float, colour: str = drawing.ORANGE, weight: float = 3
) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=weight))


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


def _bare(ax, panels: int = 0) -> None:
    if panels:
        ax.set_xlim(-0.02, panels * (1 + _GAP) - _GAP + 0.02)
        ax.set_ylim(1.02, -0.12)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.xaxis.set_visible(False)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

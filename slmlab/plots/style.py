"""What every plot shares: the canvas, the palette, labels that any font can draw, and the sentence under the axes.

Knows nothing about models. Importing it imports no matplotlib; drawing the first plot does.
"""

import functools
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from slmlab.errors import BadRequest

TEXT, MONO = "DejaVu Sans", "DejaVu Sans Mono"  # matplotlib brings both, so every machine draws the same picture
GREY, INK = "#595959", "#222222"
# Okabe and Ito's colours for every kind of colour vision, without the yellow that white paper swallows
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
BESIDE = {"textcoords": "offset points", "va": "center"}  # a label so many points from its place
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
STYLE = {
    "font.family": TEXT,
    "font.size": 13,
    "xtick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "legend.borderaxespad": 0.1,
    "text.parse_math": False,
    "axes.edgecolor": "#8c8c8c",
    "axes.linewidth": 1.2,
    "xtick.color": "#8c8c8c",
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.color"), INK),
    "hatch.linewidth": 1.5,
}
_GLUE = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line
_CAPTION_COLUMNS = 88


@contextmanager
def canvas(height_in: float, legend_rows: int = 0, rows: Sequence[str] = ()) -> Iterator:
    """The axes of a new figure, this high inside, in the house's style."""
    from matplotlib import pyplot, rc_context

    # before the style: a notebook's first figure switches interactive drawing on, and leaving it would switch that off
    figure = pyplot.figure(figsize=(8, 6), dpi=100)
    # a PNG names the version that drew it unless told not to, and stored lessons would change with it
    figure.canvas.print_png = functools.partial(figure.canvas.print_png, metadata={"Software": None})
    with rc_context(STYLE):
        ax = figure.subplots()
        ax.slmlab_room_in = height_in + 0.27 * legend_rows
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        if rows:  # from the top down
            ax.set_yticks(range(len(rows)), [drawable(name) for name in rows])
            ax.set_ylim(len(rows) - 0.45, -0.55)
        yield ax


def finish(ax, sentence: str):
    """The axes, with the sentence under them, below everything else, in a figure as high as all of it."""
    ax.slmlab_sentence = drawable(sentence)
    # no wider than the figure, or narrower where the last line would hold a lonely word
    fewest = len(textwrap.wrap(ax.slmlab_sentence, _CAPTION_COLUMNS))
    lines = textwrap.wrap(ax.slmlab_sentence, min(_CAPTION_COLUMNS, len(ax.slmlab_sentence) // fewest + 12))
    ax.figure.supxlabel("\n".join(lines), x=0.015, ha="left", fontsize=12, color=GREY, linespacing=1.35)
    drop_in = 0.65 if ax.get_xlabel() else 0.35 if ax.axison and ax.xaxis.get_visible() else 0.05
    ax.figure.set_figheight(ax.slmlab_room_in + drop_in + 0.35 + 0.24 * len(lines))
    ax.figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.06)
    return ax


def caption(ax) -> str:
    """The sentence drawn under these axes, for whoever can't see them."""
    return ax.slmlab_sentence


def legend(ax, handles: list | None = None, columns: int = 3, **options) -> None:
    ax.legend(handles=handles, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1.0), **options)


def drawable(text: str, family: str = TEXT) -> str:
    """The text with every character that the font lacks written as its code, so that none is lost as an empty box."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(family))
    drawn = {one for one in text if font.get_char_index(ord(one)) and (one.isprintable() or one == _GLUE)}
    return "".join(one if one in drawn else one.encode("unicode_escape").decode() for one in text)


def visible(text: str) -> str:
    """A token's text with its spaces and line ends to be seen: ' a\\n' is ␣a⏎."""
    return (text or "(empty)").translate(str.maketrans(" \n\t", "␣⏎⇥"))


def listed(items, what: str) -> list:
    """The items as a list; an empty one is refused with what should have been there."""
    items = list(items)
    if not items:
        raise BadRequest(f"There is nothing to draw: hand over at least one {what}.")
    return items


def gigabytes(size_bytes: float) -> str:
    gb = size_bytes / 1e9
    if gb < 1:
        return f"{size_bytes / 1e6:,.0f}{_GLUE}MB"
    return f"{gb:,.0f}{_GLUE}GB" if gb >= 100 else f"{gb:.1f}{_GLUE}GB"


def count(number: float) -> str:
    """3_821_000_000 is 3.8B, as model names say it."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def seconds(duration_s: float) -> str:
    if duration_s < 0.0995:
        return f"{duration_s * 1000:.{1 if duration_s < 0.00995 else 0}f}{_GLUE}ms"
    return f"{duration_s:.2f}{_GLUE}s" if duration_s < 9.995 else f"{duration_s:.0f}{_GLUE}s"


def percent(share: float) -> str:
    if share == 0:
        return "cut"
    return "< 0.1%" if share < 0.001 else f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"

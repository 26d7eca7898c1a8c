"""A picture of a text by the experts it went through, and the colours of experts.

Pure: takes a routing, gives matplotlib Axes with a sentence under them. An expert's number is always written: sixteen
colours can't be told apart by everyone.
"""

from course.inside.router import Routing
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, visible

# Okabe and Ito's colours, each light and dark: neighbours in number differ in lightness as well
_TINTS = (
    "#9ecae9 #0072b2 #f3b48b #b24b00 #8fd9bf #00795a #e8bcd3 #a8527f"
    " #f5d58c #b57b00 #bfe3f7 #2f86b8 #cfcfcf #6b6b6b #d9e59a #6f7d1c"
).split()
_COLUMNS, _TALLEST_IN = 56, 14.0


def expert_colours(expert: int) -> tuple[str, str]:
    """The background of an expert's tokens and the ink that is read on it."""
    tint = _TINTS[expert % len(_TINTS)]
    red, green, blue = (int(tint[place : place + 2], 16) for place in (1, 3, 5))
    return tint, drawing.INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def plot_routing(routing: Routing, layer: int | None = None, *, ax=None):
    """A text with each token on the colour of its first expert, whose number stands under it; every layer, or one."""
    layers = list(routing.layers) if layer is None else [routing.layers[routing.row_of(layer)]]
    firsts = [routing.first(one) for one in layers]
    names = [drawable(visible(piece.text), drawing.MONO) if piece.text else "·" for piece in routing.pieces]
    names = [name if len(name) <= 12 else name[:11] + "…" for name in names]
    height = 0.34 + 0.25 * len(layers) + 0.12
    places = _wrapped([max(len(name), 2) for name in names], max(1, int(_TALLEST_IN / height)))
    lines = places[-1][2] + 1
    with drawing.canvas(ax, height * lines) as ax:
        for token, (column, width, line) in enumerate(places):
            top = line * height
            style = {"ha": "center", "va": "center", "family": drawing.MONO, "clip_on": True}
            ax.text(column + width / 2, top + 0.17, names[token], fontsize=13, **style)
            for row, first in enumerate(firsts):
                _expert_cell(ax, column, top + 0.34 + 0.25 * row, width, first[token], style)
        for line in range(lines) if len(layers) > 1 else ():
            for row, number in enumerate(layers):
                y = line * height + 0.34 + 0.25 * row + 0.125
                ax.text(-0.6, y, f"layer {number}", fontsize=10, ha="right", va="center", color=drawing.GREY)
        ax.set_xlim(0, _COLUMNS)
        ax.set_ylim(height * lines, 0)
        ax.set_axis_off()
        ax.xaxis.set_visible(False)
        hidden = len(routing.pieces) - len(places)
        rest = f" ({hidden:,} more tokens are not drawn.)" if hidden else ""
        drawing.finish(ax, _routing_sentence(routing, layers, firsts) + rest)
    return ax


def _expert_cell(ax, column, top, width, expert, style):
    from matplotlib.patches import Rectangle

    tint, ink = expert_colours(expert)
    ax.add_patch(Rectangle((column + 0.04, top), width - 0.08, 0.23, facecolor=tint, edgecolor="none", gid="expert"))
    ax.text(column + width / 2, top + 0.122, str(expert), fontsize=10, color=ink, **style)


def _wrapped(widths, most_lines):
    """Column, width and line of each token, as many as there are lines for; none is wider than a line."""
    places, column, line = [], 0, 0
    for width in widths:
        if column + width > _COLUMNS:
            column, line = 0, line + 1
        if line == most_lines:
            break
        places.append((column, width, line))
        column += width
    return places


def _routing_sentence(routing, layers, firsts):
    where = f"In layer {layers[0]}" if len(layers) == 1 else "The number under a token is its first expert"
    used = [len(set(first)) for first in firsts]
    counts = f"{used[0]}" if len(set(used)) == 1 else f"{min(used)} to {max(used)}"
    if len(layers) == 1:
        return f"{where}, {counts} of {routing.expert_count} experts are somebody's first choice in this text."
    return f"{where}, a row for each layer; {counts} of {routing.expert_count} are somebody's first choice in a layer."

"""Pictures of experts: a layer's parts, tables of experts, how busy each is, and what they follow.

Pure: takes cards and shares, gives matplotlib Axes with a sentence under them.
"""

from collections.abc import Mapping, Sequence

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.style import finite, listed

_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}


def plot_layers(cards, *, ax=None):
    """One layer of each model, a box as wide as its parameters: attention, and the feed-forward blocks. Filled boxes
    work on a token, hollow ones wait."""
    cards = listed(cards, "card")
    shapes = [card.architecture for card in cards]
    for card, shape in zip(cards, shapes, strict=True):
        if shape is None:
            raise BadRequest(f"The shape of {card.id} was never published, so its layer can't be drawn.")
    with drawing.canvas(ax, 0.2 + 0.8 * len(cards), legend_rows=1) as ax:
        reach = max(one.attention_parameters + one.experts * one.expert_parameters for one in shapes)
        for y, shape in enumerate(shapes):
            _layer_row(ax, y, shape, reach)
        drawing.name_rows(ax, [card.id for card in cards])
        ax.set_xlim(0, reach * 1.02)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        keys = (("attention", drawing.AMBER, "//"), ("works on a token", drawing.BLUE, ""), ("waits", "white", ""))
        handles = [drawing.patch(*key) for key in keys]
        handles[-1].set_edgecolor(drawing.BLUE)
        drawing.legend(ax, handles)
        drawing.finish(ax, _layers_sentence(cards, shapes))
    return ax


def _layer_row(ax, y, shape, reach):
    ax.barh(y, shape.attention_parameters, height=0.5, color=drawing.AMBER, hatch="//", edgecolor="white")
    left = shape.attention_parameters
    for expert in range(shape.experts):
        active = expert < shape.experts_per_token
        face, edge = (drawing.BLUE, "white") if active else ("white", drawing.BLUE)
        box = {"height": 0.5, "linewidth": 1.4, "color": face, "edgecolor": edge, "gid": "expert"}
        ax.barh(y, shape.expert_parameters, left=left, **box)
        left += shape.expert_parameters
    words = f"{drawing.count(left)} a layer"
    if shape.experts > 1:
        words += f", {drawing.count(_busy(shape))} of them for a token"
    ax.text(0, y - 0.31, words, fontsize=12, va="bottom")


def _layers_sentence(cards, shapes):
    sparse = [(card, one) for card, one in zip(cards, shapes, strict=True) if one.experts > 1]
    if not sparse:
        return "Every parameter of a dense layer works on every token."
    card, shape = sparse[0]
    whole = shape.attention_parameters + shape.experts * shape.expert_parameters
    return (
        f"{card.id} has {shape.experts} feed-forward blocks in a layer and sends a token through "
        f"{shape.experts_per_token}: {_busy(shape) / whole:.0%} of the layer works on it, and attention is there once."
    )


def _busy(shape) -> int:
    """The parameters of a layer that work on one token."""
    return shape.attention_parameters + shape.experts_per_token * shape.expert_parameters


def plot_expert_table(
    rows: Mapping[str, object],
    *,
    what: str = "share of the choices",
    signed: bool = False,
    darkest: float | None = None,
    ax=None,
):
    """A table of experts: a row for each name with a figure per expert, dark where it is high. Shares are written in
    percent; `signed` figures, such as a damage, as they are. Tables with the same `darkest` have one scale."""
    rows = listed(dict(rows).items(), "row of figures, one per expert")
    table = [[finite(value, f"The figure of {name}") for value in values] for name, values in rows]
    if len({len(values) for values in table}) != 1 or not table[0]:
        raise BadRequest("Each row has one figure per expert, so all rows are of one length.")
    top = darkest or max(max(abs(value) for value in values) for values in table) or 1.0
    with drawing.canvas(ax, 0.44 * len(rows) + 0.1) as ax:
        for y, values in enumerate(table):
            for expert, value in enumerate(values):
                _table_cell(ax, expert, y, value, top, signed)
        drawing.name_rows(ax, [name for name, _ in rows])
        ax.set_xlim(-0.5, len(table[0]) - 0.5)
        ax.set_xticks(range(len(table[0])), [str(expert) for expert in range(len(table[0]))])
        ax.tick_params(axis="x", length=0)
        ax.spines["bottom"].set_visible(False)
        ax.set_xlabel(f"expert · {what}")
        drawing.finish(ax, _table_sentence(rows, table, what, signed))
    return ax


def _table_cell(ax, expert, y, value, top, signed):
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    shade = min(max(0.0, value) / top, 1.0)
    colour = colormaps["Blues"](0.04 + 0.9 * shade)
    ax.add_patch(Rectangle((expert - 0.47, y - 0.45), 0.94, 0.9, facecolor=colour, edgecolor="none", gid="cell"))
    words = f"{value:.2f}" if signed and abs(value) >= 0.005 else f"{value * 100:.0f}" if not signed else "0"
    ink = "white" if shade > 0.55 else drawing.INK
    ax.text(expert, y, words, ha="center", va="center", fontsize=11, color=ink)


def _table_sentence(rows, table, what, signed):
    best = max(((value, row, expert) for row, values in enumerate(table) for expert, value in enumerate(values)))
    value, row, expert = best
    if signed:
        return f"The most: {value:.2f} {what}, on {rows[row][0]} and expert {expert}."
    even = f"spread evenly, each would get {1 / len(table[0]):.1%}"
    return f"In percent of each row: expert {expert} gets {value:.0%} of “{rows[row][0]}”; {even}."


def plot_loads(loads: Mapping[str, object], *, ax=None):
    """How the work is spread: for each name the experts' shares, the busiest first, and the even share as a line."""
    rows = []
    for name, values in listed(dict(loads).items(), "load"):
        rows.append((name, sorted((finite(one, f"The load of {name}") for one in values), reverse=True)))
    for name, values in rows:
        if not values or values[-1] < 0 or not values[0]:
            raise BadRequest(f"The load of {name} is a share for each expert, 0 or more.")
    top = max(values[0] for _, values in rows)
    with drawing.canvas(ax, 1.3 * len(rows)) as ax:
        for y, (_, values) in enumerate(rows):
            foot, scale = y + 0.45, 0.74 / top
            for place, value in enumerate(values):
                colour = drawing.COLOURS[y % len(drawing.COLOURS)]
                ax.bar(place, -value * scale, bottom=foot, width=0.8, color=colour, gid="expert")
                style = {"ha": "center", "va": "bottom", "fontsize": 10, "zorder": 5, "bbox": _PAPER}
                ax.text(place, foot - value * scale - 0.03, f"{value:.0%}", **style)
            even = foot - scale / len(values)
            ax.hlines(even, -0.5, len(values) - 0.5, color=drawing.INK, linestyle="--", linewidth=1.5, zorder=1.5)
        drawing.name_rows(ax, [name for name, _ in rows])
        ax.set_ylim(len(rows) - 0.5, -0.52)
        ax.set_xlim(-0.6, max(len(values) for _, values in rows) - 0.4)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        drawing.finish(ax, _loads_sentence(rows))
    return ax


def _loads_sentence(rows):
    told = [f"{name}: the busiest of {len(values)} gets {values[0]:.0%}" for name, values in rows]
    return "; ".join(told) + f". The dashed line is an even share, {1 / len(rows[0][1]):.1%}."


def plot_following(rows: Mapping[str, object], layers: Sequence[int] | None = None, *, ax=None):
    """What experts tell, layer by layer: name -> the information of each layer, as a share, 0 to 1. `layers` are their
    numbers, if they don't begin with 0."""
    rows = listed(dict(rows).items(), "row of figures, one per layer")
    table = [[finite(value, f"The information of {name}") for value in values] for name, values in rows]
    layers = list(range(len(table[0])) if layers is None else layers)
    if not layers or any(len(values) != len(layers) for values in table):
        raise BadRequest("Each row has one figure per layer, so all rows are of one length.")
    thick, top = 0.8 / len(rows), max(max(values) for values in table) or 1.0
    height = (0.22 * len(rows) + 0.2) * len(layers)
    with drawing.canvas(ax, height, legend_rows=-(-len(rows) // 2)) as ax:
        for number, values in enumerate(table):
            places = [place + (number - (len(rows) - 1) / 2) * thick for place in range(len(layers))]
            colour, hatch = _look(number)
            ax.barh(places, values, height=thick * 0.92, color=colour, hatch=hatch, edgecolor="white")
            for place, value in zip(places, values, strict=True):
                ax.text(value + top * 0.01, place, f"{value:.0%}", va="center", fontsize=11)
        drawing.name_rows(ax, [f"layer {layer}" for layer in layers])
        ax.set_xlim(0, top * 1.08)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        drawing.legend(ax, [drawing.patch(name, *_look(n)) for n, (name, _) in enumerate(rows)], columns=2)
        value, name, layer = max(
            (value, name, layer) for name, values in rows for layer, value in zip(layers, values, strict=True)
        )
        drawing.finish(ax, f"Highest: {name} in layer {layer}, {value:.0%} of all there is to know.")
    return ax


def _look(number: int) -> tuple[str, str]:
    hatches = ("", "//", "..", "xx", "--")
    return drawing.COLOURS[number % len(drawing.COLOURS)], hatches[number % len(hatches)]

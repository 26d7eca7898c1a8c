"""Pictures of pictures: patches, what the encoder makes of them, where a model looks.

Pure: takes records, pictures and texts, gives matplotlib Axes with a sentence under them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from course.inside.router import Routing
from course.inside.vision import Gaze, Seen
from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.answers import GAP, bare, frame, panel
from slmlab.plots.style import drawable, finite, listed, visible

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


FAINT = 0.02  # a patch with less of the attention is never drawn at its brightest: nothing must not look like something


def plot_patches(seen: Seen, *, numbers: bool = True, ax=None):
    """A picture as the model takes it, cut into patches; each becomes one token, counted as one reads: the first row
    and column say how."""
    rows, columns = seen.projected.shape[:2]
    with drawing.canvas(ax, 6.2) as ax:
        ax.imshow(seen.pixels, extent=(0, columns, rows, 0), interpolation="nearest")
        _grid(ax, rows, columns)
        first = [*((0, column) for column in range(columns)), *((row, 0) for row in range(1, rows))]
        for row, column in first if numbers else ():
            style = {"fontsize": 8, "color": drawing.GREY, "ha": "left", "va": "top"}
            ax.text(column + 0.06, row + 0.05, str(row * columns + column + 1), gid="patch", **style)
        bare(ax)
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
            panel(ax, number, name, pixels, **options)
        x, y = (patch[1] / columns, patch[0] / rows)
        for number in (0, 2):
            frame(ax, number * (1 + GAP) + x, y, 1 / columns, 1 / rows)
        bare(ax, len(panels))
        share = float((alike > 0.6).mean())
        drawing.finish(
            ax,
            "Middle: false colours; patches whose vectors are alike get colours that are alike. Right: the yellower, "
            f"the more alike to the marked patch, number {patch[0] * columns + patch[1] + 1}; {share:.0%} of the "
            "patches are much like it (cosine above 0.6).",
        )
    return ax


def plot_gaze(gaze: Gaze, texts: Sequence[str], picture: int = 0, layer: int | None = None, last=False, *, ax=None):
    """Where a model looked as it began parts of its answer, the first time that they come or the last: the picture
    once for each part, lit where it looked, on one scale."""
    texts = listed([texts] if isinstance(texts, str) else texts, "part of the answer")
    places = [gaze.place_of(text, last) for text in texts]
    heats = [gaze.on(place, picture, layer) for place in places]
    most = max(float(heat.max()) for heat in heats)
    pixels = np.asarray(gaze.pictures[picture].image, dtype=np.float32) / 255
    with drawing.canvas(ax, 8.0 / max(len(texts), 2) * 0.95) as ax:
        for number, (text, heat) in enumerate(zip(texts, heats, strict=True)):
            light = np.kron(heat / max(most, FAINT), np.ones((8, 8)))
            panel(ax, number, f"before {visible(text.strip())}", _lit(pixels, light))
        bare(ax, len(texts))
        where = "all layers" if layer is None else f"layer {layer}"
        parts = [
            f"{gaze.share(place):.0%} before {visible(text.strip())}" for text, place in zip(texts, places, strict=True)
        ]
        drawing.finish(
            ax,
            f"Bright is where {gaze.model} looks as it chooses the next token (mean of the heads, {where}); the "
            f"brightest patch has {most:.1%} of its attention. The whole picture gets {', '.join(parts)}; the rest "
            "goes to the text.",
        )
    return ax


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

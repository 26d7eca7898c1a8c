"""Plots of what models said: tokens in time, in a strip and by probability, speeds, and the pictures asked about.

Pure: takes replies and other records, gives matplotlib Axes with a sentence under them.
"""

from collections.abc import Mapping, Sequence

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, finite, listed, visible


def timeline(replies, *, ax=None):
    """Each token as a stroke at its time since the request; several replies (a list, or name -> reply) are rows."""
    rows = _named_replies(replies)
    names = [name for name, _ in rows]
    times = [[token.time_s - reply.start.time_s for token in reply.tokens] for _, reply in rows]
    end = max(row[-1] for row in times)
    with drawing.canvas(ax, 0.25 + 0.8 * len(rows)) as ax:
        for y, row in enumerate(times):
            colour = drawing.COLOURS[y % len(drawing.COLOURS)]
            ax.barh(y, row[0], height=0.16, color="#d0d0d0", gid="wait")
            ax.vlines(row, y - 0.3, y + 0.3, color=colour, linewidth=2.2, alpha=0.85)
            ax.plot(row[0], y, marker=">", color=colour, markersize=9, markeredgecolor="white")
            ax.text(row[0], y - 0.36, f"first token {drawing.seconds(row[0])}", fontsize=12, ha="left", va="bottom")
            ax.text(row[-1] + end * 0.015, y, _pace(row), fontsize=12, va="center", linespacing=1.3)
        drawing.name_rows(ax, names)
        ax.set_ylim(len(rows) - 0.55, -0.85)
        ax.set_xlim(0, end * 1.02 or 1)
        ax.set_xlabel("seconds since the request")
        drawing.finish(ax, _timeline_sentence(names, times))
    return ax


def _named_replies(replies) -> list[tuple]:
    replies = [replies] if hasattr(replies, "model") else replies
    pairs = replies.items() if isinstance(replies, Mapping) else ((reply.model, reply) for reply in replies)
    rows = listed(pairs, "Reply")
    for name, reply in rows:
        if not reply.tokens:
            raise BadRequest(f"The reply of {name} has no tokens with times to draw. Ask again and read it to its end.")
    return rows


def _pace(times: list[float]) -> str:
    tokens = f"{len(times)} token{'s' * (len(times) > 1)}"
    return f"{tokens}\n{(len(times) - 1) / (times[-1] - times[0]):,.0f} per s" if times[-1] > times[0] else tokens


def _timeline_sentence(names: list[str], times: list[list[float]]) -> str:
    name, row = min(zip(names, times, strict=True), key=lambda pair: pair[1][0])
    start = f"{name} shows its first token after {drawing.seconds(row[0])}"
    if len(times) > 1:
        name, row = min(zip(names, times, strict=True), key=lambda pair: pair[1][-1])
        return f"{start}, the soonest; {name} ends first, after {drawing.seconds(row[-1])}."
    if len(row) < 2:
        return f"{start}, its only one."
    gap = drawing.seconds((row[-1] - row[0]) / (len(row) - 1))
    return f"{start}, then one every {gap}: {len(row)} tokens in {drawing.seconds(row[-1])}."


def next_tokens(probabilities, after=None, *, names=("as the model gives it", "after the settings"), ax=None):
    """The likeliest next tokens as bars; `after` shows the same ones once settings, or another prompt, changed them."""
    rows = listed(probabilities, "TokenProbability")
    before, later = [row.probability for row in rows], None
    series = [(names[0], before, drawing.BLUE, "")]
    if after is not None:
        by_id = {row.id: row.probability for row in after}
        later = [by_id.get(row.id, 0.0) for row in rows]
        series.append((names[1], later, drawing.ORANGE, "//"))
    top = max(before + (later or [])) or 1.0
    height, space = (0.68, 0.42) if later is None else (0.4, 0.66)
    with drawing.canvas(ax, space * len(rows), legend_rows=len(series) - 1) as ax:
        for number, (_, values, colour, hatch) in enumerate(series):
            places = [y + 0.42 * (number - (len(series) - 1) / 2) for y in range(len(rows))]
            ax.barh(places, values, height=height, color=colour, hatch=hatch, edgecolor="white")
            for y, value in zip(places, values, strict=True):
                ax.text(value + top * 0.012, y, drawing.percent(value), va="center", fontsize=12)
        if later is not None:
            drawing.legend(ax, [drawing.patch(name, colour, hatch) for name, _, colour, hatch in series])
        drawing.name_rows(ax, [visible(row.text) for row in rows])
        ax.set_xlim(0, top * 1.02)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        drawing.finish(ax, _next_sentence(rows, before, later, names[1]))
    return ax


def _next_sentence(rows, before, later, changed):
    best = before.index(max(before))
    name, share = f"“{visible(rows[best].text)}”", drawing.percent(before[best])
    if later is None:
        return f"{name} comes next with {share}; these {len(rows)} tokens hold {sum(before):.0%} of all probability."
    kept = sum(value > 0 for value in later)
    rest = "" if kept == len(rows) else f", and {kept} of these {len(rows)} tokens are left"
    return f"{name} goes from {share} to {drawing.percent(later[best])} {changed}{rest}."


def speeds(rows: Mapping[str, object], limit=None, *, ax=None):
    """Decoded tokens per second. `rows`: name -> a figure, a Reply, Metrics, or a list of these (its median is marked).

    `limit` is what the memory bandwidth allows: one figure for all, or name -> figure.
    """
    from statistics import median  # here, because it would double the cost of the first cell of a lesson

    runs = {name: _rates(name, given) for name, given in listed(dict(rows).items(), "measured speed")}
    middles = {name: median(run) for name, run in runs.items()}
    limits = limit if isinstance(limit, Mapping) else dict.fromkeys(runs, limit)
    limits = {name: limits[name] for name in runs if limits.get(name) is not None}
    reach = max([max(run) for run in runs.values()] + list(limits.values()))
    with drawing.canvas(ax, 0.1 + 0.52 * len(runs), legend_rows=bool(limits)) as ax:
        for y, (name, run) in enumerate(runs.items()):
            _speed_row(ax, y, run, middles[name], limits.get(name), reach)
        drawing.name_rows(ax, list(runs))
        ax.set_xlim(0, reach * 1.04)
        ax.set_xlabel("tokens per second")
        if limits:
            measured = drawing.sign("measured", marker="o", color=drawing.BLUE, markersize=13)
            line = {"marker": "|", "color": drawing.ORANGE, "markersize": 13, "markeredgewidth": 4}
            allowed = drawing.sign("limit of the memory bandwidth", **line)
            drawing.legend(ax, [measured, allowed])
        drawing.finish(ax, _speeds_sentence(middles, limits))
    return ax


def _rates(name, given) -> list[float]:
    runs = listed(given if isinstance(given, list | tuple) else [given], f"measurement of {name}")
    metrics = [getattr(run, "metrics", run) for run in runs]  # of a Reply, which may be read only now
    rates = [getattr(one, "decode_tokens_per_s", one) for one in metrics]
    return [finite(rate, f"The speed of {name}") for rate in rates]


def _speed_row(ax, y, run, middle, limit, reach):
    ax.hlines(y, 0, middle, color=drawing.SKY, linewidth=3, zorder=1)
    if len(run) > 1:
        ax.plot(run, [y] * len(run), "o", markersize=7, color=drawing.BLUE, alpha=0.45, zorder=2)
    ax.plot(middle, y, "o", markersize=14, color=drawing.BLUE, zorder=3)
    label_at = max(run)
    if limit is not None:
        ax.vlines(limit, y - 0.32, y + 0.32, color=drawing.ORANGE, linewidth=4, zorder=4)
        label_at = limit if 0 <= limit - label_at < reach * 0.14 else label_at
    ax.annotate(f"{middle:,.0f}", (label_at, y), (13, 0), textcoords="offset points", va="center", fontweight="bold")


def _speeds_sentence(speeds, limits):
    fastest = max(speeds, key=speeds.get)
    speed = speeds[fastest]
    gives = "is fastest here, with" if len(speeds) > 1 else "gives"
    words = f"{fastest} {gives} {speed:,.0f} tokens per second"
    if fastest in limits:
        words += f": {speed / limits[fastest]:.0%} of what reading its weights from memory once per token allows"
    return words + "."


def token_strip(pieces, *, ids: bool = False, ax=None):
    """The tokens of a text as a strip of boxes, wrapped like a paragraph; `ids=True` writes each one's id under it."""
    pieces = listed(pieces, "token")
    names = [_short(drawable(visible(piece.text), drawing.MONO)) for piece in pieces]
    cells = [max(len(name), len(str(piece.id)) if ids else 0) + 1 for name, piece in zip(names, pieces, strict=True)]
    places, lines = _wrap(cells)
    with drawing.canvas(ax, (0.66 if ids else 0.42) * lines) as ax:
        for index, (column, line) in enumerate(places):
            _token_box(ax, column, line, cells[index], index)
            style = {"ha": "center", "va": "center", "family": drawing.MONO}
            middle = column + cells[index] / 2
            ax.text(middle, line + (0.33 if ids else 0.49), names[index], fontsize=14, **style)
            if ids:
                ax.text(middle, line + 0.71, str(pieces[index].id), fontsize=12, color=drawing.GREY, **style)
        ax.set_xlim(0, _COLUMNS)
        ax.set_ylim(lines, 0)
        ax.set_axis_off()
        ax.xaxis.set_visible(False)
        drawing.finish(ax, _strip_sentence(pieces, names))
    return ax


_COLUMNS = 62  # characters of 14 point type in a line of the figure


def _short(name):
    return name if len(name) <= _COLUMNS // 2 else name[: _COLUMNS // 2 - 1] + "…"


def _wrap(cells):
    places, column, line = [], 0, 0
    for cell in cells:
        if column and column + cell > _COLUMNS:
            column, line = 0, line + 1
        places.append((column, line))
        column += cell
    return places, line + 1


def _token_box(ax, column, line, cell, index):
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.15"
    box = FancyBboxPatch((column + 0.08, line + 0.07), cell - 0.16, 0.86, boxstyle=shape, mutation_aspect=0.6)
    box.set(facecolor=("#DCEBF5", "#FBEBD3")[index % 2], edgecolor="#6b6b6b", linewidth=1.2)
    ax.add_patch(box)


def _strip_sentence(pieces, names):
    words = f"{len(pieces)} tokens, a box each" if len(pieces) > 1 else "One token"
    signs = (("␣", "a space"), ("⏎", "a new line"), ("�", "part of a character"))
    meanings = [f"{sign} is {meaning}" for sign, meaning in signs if sign in "".join(names)]
    return words + ("; " + ", ".join(meanings) if meanings else "") + "."


GAP = 0.12  # between panels, as a part of one


def pictures(pictures: Sequence, names: Sequence[str] = (), *, ax=None):
    """Pictures side by side, numbered or named: what is shown to a model."""
    images = [getattr(picture, "image", picture) for picture in listed(pictures, "picture")]
    names = list(names) or [str(number) for number in range(1, len(images) + 1)]
    if len(names) != len(images):
        raise BadRequest(f"There must be as many names as pictures: {len(names)} and {len(images)}.")
    with drawing.canvas(ax, 9.0 / max(len(images), 3)) as ax:
        for number, (name, image) in enumerate(zip(names, images, strict=True)):
            panel(ax, number, name, image.convert("RGB"))
        bare(ax, len(images))
        sizes = sorted({image.size for image in images})
        told = ", ".join(f"{width} x {height}" for width, height in sizes)
        drawing.finish(ax, f"{len(images)} picture{'s' * (len(images) != 1)} of {told} pixels.")
    return ax


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
        ax.set_xlim(-0.02, panels * (1 + GAP) - GAP + 0.02)
        ax.set_ylim(1.02, -0.12)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.xaxis.set_visible(False)

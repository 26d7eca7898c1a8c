"""A race of runtimes as one picture: a row for each, and a column of bars for each thing that was measured.

Pure: takes the results of a race, gives matplotlib Axes with a sentence under them.
"""

from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, finite, gigabytes, listed

MORE = {"facecolor": drawing.BLUE, "edgecolor": drawing.BLUE}  # full bars where more is better, hollow where less is
LESS = {"facecolor": "#fdf3de", "edgecolor": drawing.AMBER}
GAP_IN, ROW_IN = 0.11, 0.4
LIKE_FULL = 1.02  # of fp32's perplexity: nobody sees a difference
_HEADS_ROWS = 1.25


def race(results, bandwidth_bytes_per_s: float | None = None, *, ax=None):
    """Speeds, memory, size, start and quality of each runtime in a race. With a memory bandwidth, a tick marks what it
    allows each to write; one that didn't run is a grey row."""
    results = listed(results, "result of a race")
    ran, others = [one for one in results if one.ran], [one for one in results if not one.ran]
    full = _perplexity_of_full(ran)
    limits = _limits(ran, bandwidth_bytes_per_s)
    columns = _columns(ran, full, limits)
    with drawing.canvas(ax, ROW_IN * (len(results) + _HEADS_ROWS), legend_rows=1) as ax:
        left = 0.0
        for width, head, better, values, words, ticks in columns:
            _column(ax, left, width, head, better, values, words, ticks)
            left += width + GAP_IN
        for y, one in enumerate(others, start=len(ran)):
            told = "ended before its time" if one.fault else "not installed"
            ax.text(0, y + 0.08, told, va="baseline", style="italic", fontsize=12, color=drawing.GREY)
        drawing.name_rows(ax, [one.name for one in [*ran, *others]])
        for label in ax.get_yticklabels()[len(ran) :]:
            label.set_color(drawing.GREY)
        ax.set_ylim(len(results) - 0.45, -0.5 - _HEADS_ROWS)
        ax.set_xlim(0, left - GAP_IN)
        ax.spines["bottom"].set_visible(False)
        ax.xaxis.set_visible(False)
        drawing.legend(ax, _handles(bandwidth_bytes_per_s), columns=3)
        drawing.finish(ax, _sentence(ran, others, full, limits))
    return ax


def _perplexity_of_full(ran) -> float | None:
    """What quality is held against: a runtime that agrees with fp32 everywhere is fp32."""
    return next((one.perplexity for one in ran if one.agreement == 1 and one.perplexity), None)


def _limits(ran, bandwidth_bytes_per_s: float | None) -> list[float | None]:
    if bandwidth_bytes_per_s is None:
        return [None] * len(ran)
    bandwidth = finite(bandwidth_bytes_per_s, "The memory bandwidth")
    return [bandwidth / one.token_bytes if one.token_bytes else None for one in ran]


def _columns(ran, full: float | None, limits: list) -> list[tuple]:
    """Width in inches, head, whether more is better, a value for the bar and words for each row, ticks."""
    plain, none = [None] * len(ran), "?"

    def column(width, head, better, name, word, ticks=plain):
        values = [getattr(one, name) for one in ran]
        values = [
            None if value is None else finite(value, f"{name} of {one.name}")
            for one, value in zip(ran, values, strict=True)
        ]
        return width, head, better, values, [none if value is None else word(value) for value in values], ticks

    quality = column(0.86, "perplexity", False, "perplexity", "{:.1f}".format)
    if full:
        above = [None if one.perplexity is None else max(0.0, one.perplexity / full - 1) for one in ran]
        words = [none if value is None else f"+{value:.0%}" if value >= 0.005 else "as fp32" for value in above]
        quality = (0.86, "perplexity\nover fp32", False, above, words, plain)
    return [
        column(1.7 if any(limits) else 1.15, "writes\ntokens/s", True, "writes_tokens_per_s", "{:,.0f}".format, limits),
        column(1.0, "reads\ntokens/s", True, "reads_tokens_per_s", "{:,.0f}".format),
        column(0.78, "memory", False, "resident_bytes", gigabytes),
        column(0.78, "on disk", False, "size_bytes", gigabytes),
        column(0.74, "starts in", False, "start_s", drawing.seconds),
        quality,
    ]


def _column(ax, left: float, width: float, head: str, better: bool, values, words, ticks) -> None:
    """A figure for each row, and under it its bar from the left edge of the column."""
    known = [value for value in [*values, *ticks] if value is not None]
    scale = width / max(known, default=1) if max(known, default=0) > 0 else 0.0
    ax.text(left, -0.72, head, va="baseline", ha="left", fontsize=12, linespacing=1.1)
    ax.plot((left, left + width), (-0.55, -0.55), color="#8c8c8c", linewidth=1, solid_capstyle="butt")
    for y, (value, word, tick) in enumerate(zip(values, words, ticks, strict=True)):
        if value is not None:
            style = {"height": 0.2, "linewidth": 1.4, **(MORE if better else LESS)}
            ax.barh(y + 0.29, value * scale, left=left, gid=head.split("\n")[0], **style)
        ax.text(left, y + 0.08, drawable(word), va="baseline", ha="left", fontsize=12)
        if tick is not None:
            at = left + tick * scale
            ax.plot(
                (at, at), (y + 0.1, y + 0.48), color=drawing.ORANGE, linewidth=3, gid="limit", solid_capstyle="butt"
            )


def _handles(bandwidth_bytes_per_s) -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(label=f"{name} is better", **style) for name, style in (("more", MORE), ("less", LESS))]
    if bandwidth_bytes_per_s is not None:
        style = {"linestyle": "none", "marker": "|", "markersize": 13, "markeredgewidth": 3}
        handles.append(Line2D([], [], color=drawing.ORANGE, label="what the memory allows", **style))
    return handles


def _sentence(ran, others, full: float | None, limits: list) -> str:
    timed = [one for one in ran if one.writes_tokens_per_s and one.reads_tokens_per_s]
    if not timed:
        return "None of these runtimes ran on this machine."
    writer = max(timed, key=lambda one: one.writes_tokens_per_s)
    reader = max(timed, key=lambda one: one.reads_tokens_per_s)
    words = f"{writer.name} writes fastest, {writer.writes_tokens_per_s:,.0f} tokens per second"
    words += f"; {'it' if reader is writer else reader.name} reads fastest, {reader.reads_tokens_per_s:,.0f}"
    good = [one for one in timed if full and one.perplexity and one.perplexity <= LIKE_FULL * full]
    best = max(good, key=lambda one: one.writes_tokens_per_s, default=None)
    if best is writer:
        words += "; in quality it is as fp32"
    elif best:
        words += f"; of those that are as good as fp32, {best.name} writes fastest, {best.writes_tokens_per_s:,.0f}"
    near = [(one.writes_tokens_per_s / limit, one.name) for one, limit in zip(ran, limits, strict=True) if limit]
    if near:
        words += "; nearest to what the memory allows is {1}, at {0:.0%}".format(*max(near))
    return words + "."

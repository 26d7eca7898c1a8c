"""A race of runtimes as one picture: a row for each, and a column of bars for each thing that was measured.

Pure: takes the results of a race, gives a figure with a sentence under it.
"""

from course.runtimes.results import Results
from slmlab.plots import style as drawing
from slmlab.show import in_bytes

MORE = {"facecolor": drawing.BLUE, "edgecolor": drawing.BLUE}  # full bars where more is better, hollow where less is
LESS = {"facecolor": "#fdf3de", "edgecolor": drawing.AMBER}
GAP_IN, ROW_IN, HEADS_ROWS = 0.11, 0.4, 1.25


def race(results: Results, bandwidth: float | None = None):
    """Speeds, memory, size, start and quality of each runtime in a race. With a memory bandwidth, in bytes per second,
    a tick marks what it allows each to write; bars that were recorded are hatched; one without figures is grey."""
    ran = sorted((one for one in results if one.ran or one.recorded), key=lambda one: bool(one.recorded))
    others = [one for one in results if not (one.ran or one.recorded)]
    full = any(one.loss == 0 for one in ran)  # of this race: what quality is held against
    limits = [bandwidth / one.token_bytes if bandwidth and one.token_bytes and one.ran else None for one in ran]
    names = [one.label for one in [*ran, *others]]
    with drawing.canvas(ROW_IN * (len(names) + HEADS_ROWS), legend_rows=1, rows=names) as ax:
        left = 0.0
        for width, *column in _columns(ran, full, limits):
            _column(ax, left, width, *column)
            left += width + GAP_IN
        for bar in ax.patches:
            if ran[int(bar.get_y())].recorded:
                bar.set(hatch="///", facecolor="white")
        for y, one in enumerate(others, start=len(ran)):
            told = "ended before its time" if one.fault else "not installed"
            ax.text(0, y + 0.08, told, style="italic", fontsize=12, color=drawing.GREY)
            ax.get_yticklabels()[y].set_color(drawing.GREY)
        ax.set_ylim(len(names) - 0.45, -0.5 - HEADS_ROWS)
        ax.set_xlim(0, left - GAP_IN)
        ax.spines["bottom"].set_visible(False)
        ax.xaxis.set_visible(False)
        drawing.legend(ax, _handles(bandwidth is not None), columns=3)
        near = [(one.writes_tokens_per_s / limit, one.name) for one, limit in zip(ran, limits, strict=True) if limit]
        nearest = " Nearest to what the memory allows is {1}, at {0:.0%}.".format(*max(near)) if near else ""
        return drawing.finish(ax, results.verdict() + ("" if results.busy else nearest))


def _columns(ran, full: bool, limits: list) -> list[tuple]:
    """Width in inches, head, look, a value for each row and how it is written; ticks."""

    def of(name: str) -> list:
        return [getattr(one, name) for one in ran]

    whole, quality = "{:,.0f}".format, (0.86, "perplexity", LESS, of("perplexity"), "{:.1f}".format)
    if full:
        above = [one.loss if one.loss is None else max(0.0, one.loss) for one in ran]
        quality = (0.86, "perplexity\nover fp32", LESS, above, _above_full)
    return [
        (1.7 if any(limits) else 1.15, "writes\ntokens/s", MORE, of("writes_tokens_per_s"), whole, limits),
        (1.0, "reads\ntokens/s", MORE, of("reads_tokens_per_s"), whole),
        (0.78, "memory", LESS, of("resident_bytes"), in_bytes),
        (0.78, "on disk", LESS, of("size_bytes"), in_bytes),
        (0.74, "starts in", LESS, of("start_s"), drawing.seconds),
        quality,
    ]


def _above_full(share: float) -> str:
    return f"+{share:.0%}" if share >= 0.005 else "as fp32"


def _column(ax, left: float, width: float, head: str, look: dict, values, word, ticks=()) -> None:
    """A figure for each row, and under it its bar from the left edge of the column."""
    largest = max((value for value in [*values, *ticks] if value), default=1)
    ax.text(left, -0.72, head, fontsize=12, linespacing=1.1)
    ax.plot((left, left + width), (-0.55, -0.55), color="#8c8c8c", linewidth=1, solid_capstyle="butt")
    for y, value in enumerate(values):
        ax.text(left, y + 0.08, "?" if value is None else word(value), fontsize=12)
        if value is not None:
            long = value / largest * width
            ax.barh(y + 0.29, long, 0.2, left=left, gid=head.split("\n")[0], linewidth=1.4, **look)
    for y, tick in enumerate(ticks):
        if tick is not None:
            at, look = left + tick / largest * width, {"linewidth": 3, "solid_capstyle": "butt", "gid": "limit"}
            ax.plot((at, at), (y + 0.1, y + 0.48), color=drawing.ORANGE, **look)


def _handles(with_limit: bool) -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(label="more is better", **MORE), Patch(label="less is better", **LESS)]
    if with_limit:
        look = {"color": drawing.ORANGE, "marker": "|", "markersize": 13, "markeredgewidth": 3, "linestyle": "none"}
        handles.append(Line2D([], [], label="what the memory allows", **look))
    return handles

"""Pictures of models: how large they are, whether they fit this machine, what their publishers say they score.

Pure: takes cards, fits and benchmark rows, gives matplotlib Axes with a sentence under them.
"""

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, gigabytes, listed

_BESIDE = {"textcoords": "offset points", "va": "center"}
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}


def sizes(cards, *, ax=None):
    """Parameters on a log axis; a mixture of experts joins what it uses per token to what it holds.

    A size that its maker never published stays without a dot.
    """
    cards = sorted(listed(cards, "card"), key=lambda card: card.parameters or float("inf"))
    known = [card for card in cards if card.parameters is not None]
    if not known:
        raise BadRequest("None of these models has a published size. Add one that has, such as smollm2-135m.")
    # to the left of a dot nothing stands, to the left of a mixture's hollow one its label
    low = min(card.active_parameters / 60 if _is_sparse(card) else card.parameters / 2 for card in known)
    high = known[-1].parameters * 1.6
    with drawing.canvas(ax, 0.1 + 0.48 * len(cards)) as ax:
        ax.set_xscale("log")
        ax.set_xlim(low, high)
        for y, card in enumerate(known):
            _size_row(ax, y, card)
        for y in range(len(known), len(cards)):
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(0.01, y, "undisclosed", style="italic", color=drawing.GREY, **place)
        drawing.name_rows(ax, [card.id for card in cards])
        ax.grid(axis="x", color="#e4e4e4", linewidth=1)
        ticks = [10**power for power in range(3, 15) if low <= 10**power <= high]
        ax.set_xticks(ticks, [drawing.count(tick) for tick in ticks])
        ax.minorticks_off()
        ax.set_xlabel("parameters (each step is ten times more)")
        drawing.finish(ax, _sizes_sentence(known, [card.id for card in cards[len(known) :]]))
    return ax


def _is_sparse(card) -> bool:
    return card.kind == "moe" and card.active_parameters is not None


def _size_row(ax, y, card):
    label, colour, active = drawing.count(card.parameters), drawing.BLUE, card.active_parameters
    if _is_sparse(card):
        label, colour = f"{label} total", drawing.ORANGE
        ax.plot([active, card.parameters], [y, y], color=colour, linewidth=3, zorder=2)
        hollow = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 3}
        ax.plot(active, y, "o", markersize=12, **hollow)
        ax.annotate(f"{drawing.count(active)} active", (active, y), (-10, 0), **_BESIDE, ha="right")
    ax.plot(card.parameters, y, "o", markersize=13, color=colour, zorder=3)
    ax.annotate(label, (card.parameters, y), (11, 0), **_BESIDE, fontweight="bold")


def _sizes_sentence(known, hidden):
    small, large = known[0], known[-1]
    words = f"{small.id} has {drawing.count(small.parameters)} parameters"
    if large.parameters > 1.5 * small.parameters:
        ratio = large.parameters / small.parameters
        times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
        words = f"{large.id} is {times} times as large as {small.id}"
    sparse = next((card for card in known if _is_sparse(card)), None)
    if sparse:
        name = "it" if sparse is large else sparse.id
        words += f"; {name} uses {sparse.active_parameters / sparse.parameters:.0%} of its parameters per token"
    if hidden:
        words += f"; the size of {' and '.join(hidden)} was never published"
    return words + "."


_PARTS = (
    ("weights", "weights_bytes", drawing.BLUE, ""),
    ("KV cache", "kv_bytes", drawing.AMBER, "//"),
    ("runtime", "overhead_bytes", "#bdbdbd", ".."),
)


def memory(fits, machine=None, *, ax=None):
    """What each precision needs (weights, KV cache, runtime) against the machine's memory, with the verdict."""
    machine = machine or fits.machine
    fits = listed(fits, "Fit")
    known = [fit for fit in fits if fit.total_bytes is not None]
    if not known:
        raise BadRequest(f"The size of {fits[0].model} was never published, so there is nothing to draw.")
    one_model = len({fit.model for fit in fits}) == 1
    lines = [("free RAM", machine.ram_available_bytes, "--"), ("all RAM", machine.ram_total_bytes, "-")]
    lines = [line for line in lines + [("GPU memory", machine.vram_bytes, ":")] if line[1]]
    lines.sort(key=lambda line: -line[1])  # the longest line is the smallest memory: none crosses another's label
    reach = max([fit.total_bytes for fit in known] + [size for _, size, _ in lines]) / 1e9
    with drawing.canvas(ax, 0.55 * len(fits) + 0.26 * len(lines), legend_rows=1) as ax:
        for y, fit in enumerate(fits):
            _memory_row(ax, y, fit, reach)
        for row, (name, size, dash) in enumerate(lines):
            _memory_line(ax, name, size / 1e9, dash, reach, len(fits) - 0.25 + 0.45 * row)
        drawing.name_rows(ax, [fit.precision if one_model else f"{fit.model} · {fit.precision}" for fit in fits])
        ax.set_ylim(len(fits) - 0.5 + 0.45 * len(lines), -0.5)
        ax.set_xlim(0, reach * 1.04)
        ax.set_xlabel(drawable(f"GB of memory for {fits[0].model}") if one_model else "GB of memory")
        drawing.legend(ax, [drawing.patch(name, colour, hatch) for name, _, colour, hatch in _PARTS])
        drawing.finish(ax, _memory_sentence(known, machine.ram_available_bytes))
    return ax


def _memory_row(ax, y, fit, reach):
    left = 0.0
    for name, field, colour, hatch in _PARTS if fit.total_bytes is not None else ():
        width = getattr(fit, field) / 1e9
        ax.barh(y, width, left=left, height=0.62, color=colour, hatch=hatch, edgecolor="white", gid=name)
        left += width
    words = "size undisclosed" if fit.total_bytes is None else f"{gigabytes(fit.total_bytes)} · {fit.verdict}"
    ax.text(left + reach * 0.012, y, drawable(words), va="center", fontweight="bold", bbox=_PAPER)


def _memory_line(ax, name, gb, dash, reach, y):
    ax.vlines(gb, -0.5, y + 0.2, color=drawing.INK, linestyle=dash, linewidth=2.2, zorder=1.5)
    on_left = gb > reach * 0.7
    place = {"ha": "right" if on_left else "left", "va": "center", "fontsize": 12}
    ax.text(gb + reach * (-0.01 if on_left else 0.01), y, f"{name} {gigabytes(gb * 1e9)}", **place, bbox=_PAPER)


def _memory_sentence(fits, free_bytes):
    least, most = min(fits, key=lambda fit: fit.total_bytes), max(fits, key=lambda fit: fit.total_bytes)
    if free_bytes is None:
        return f"{most.model} in {most.precision} needs most, {gigabytes(most.total_bytes)}."
    inside = [fit for fit in fits if fit.total_bytes <= free_bytes]
    if not inside:
        needs = f"{least.model} in {least.precision} needs {gigabytes(least.total_bytes)}"
        return f"None fits in the {gigabytes(free_bytes)} of free RAM: even {needs}."
    most = max(inside, key=lambda fit: fit.total_bytes)
    largest = f"the largest of these is {most.model} in {most.precision} with {gigabytes(most.total_bytes)}"
    return f"{len(inside)} of {len(fits)} fit in the {gigabytes(free_bytes)} of free RAM; {largest}."


def benchmarks(rows, *, ax=None):
    """Published scores: a line per benchmark, a shape and colour per model, hollow for a second figure of the same."""
    rows = listed(rows, "row of a benchmark table")
    tests, models = _in_order(row.benchmark for row in rows), _in_order(row.model for row in rows)
    height = (0.3 + 0.07 * len(models)) * len(tests)
    with drawing.canvas(ax, height, legend_rows=-(-len(models) // 3)) as ax:
        for y in range(0, len(tests), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#f3f3f3", zorder=0)
        seen = set()
        for row in rows:
            index = models.index(row.model)
            lane = (index - (len(models) - 1) / 2) * 0.75 / len(models)  # near scores stay apart
            hollow = (row.model, row.benchmark) in seen
            seen.add((row.model, row.benchmark))
            ax.plot(row.value, tests.index(row.benchmark) + lane, **_mark(index, hollow))
        drawing.name_rows(ax, tests)
        ax.grid(axis="x", color="#dddddd", linewidth=1)
        ax.set_xlabel("score")
        drawing.legend(ax, [drawing.sign(model, **_mark(index)) for index, model in enumerate(models)])
        drawing.finish(ax, _benchmarks_sentence(rows, tests, models))
    return ax


def _counted(items, noun):
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


def _in_order(items):
    return list(dict.fromkeys(items))


def _mark(index, hollow=False):
    colour = drawing.COLOURS[index % len(drawing.COLOURS)]
    style = {"marker": drawing.SHAPES[index % len(drawing.SHAPES)], "markersize": 12, "linestyle": "none", "zorder": 3}
    if hollow:
        return style | {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 2.2}
    return style | {"markerfacecolor": colour, "markeredgecolor": "white"}


def _benchmarks_sentence(rows, tests, models):
    publishers = _in_order(row.publisher for row in rows)
    said = ", ".join(publishers) if len(publishers) <= 3 else f"{len(publishers)} publishers"
    words = f"{_counted(models, 'model')} on {_counted(tests, 'benchmark')}, as reported by {said}"
    seen: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        seen.setdefault((row.model, row.benchmark), []).append(row.value)
    (model, test), values = max(seen.items(), key=lambda item: max(item[1]) - min(item[1]))
    if max(values) > min(values):
        words += f". Hollow is a second source: on {test}, {model} has {max(values):g} or {min(values):g}"
    return words + "."

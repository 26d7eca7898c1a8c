"""Plots of models: how large they are, whether they fit this machine, what their publishers say they score."""

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, gigabytes, listed

PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
PARTS = (
    ("weights", "weights_bytes", drawing.BLUE, ""),
    ("KV cache", "kv_bytes", drawing.AMBER, "//"),
    ("runtime", "overhead_bytes", "#bdbdbd", ".."),
)


def sizes(cards):
    """Parameters on a log axis; a mixture of experts joins what it uses per token to what it holds."""
    cards = sorted(listed(cards, "card"), key=lambda card: card.parameters or float("inf"))
    known = [card for card in cards if card.parameters]
    # to the left of a dot nothing stands, to the left of a mixture's hollow one its label
    low = min(card.active_parameters / 60 if card.kind == "moe" else card.parameters / 2 for card in known)
    with drawing.canvas(0.1 + 0.48 * len(cards), rows=[card.id for card in cards]) as ax:
        ax.set(xscale="log", xlim=(low, known[-1].parameters * 1.6))
        ax.set_xlabel("parameters (each step is ten times more)")
        for y, card in enumerate(known):
            _size_row(ax, y, card)
        for y in range(len(known), len(cards)):
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(0.01, y, "undisclosed", style="italic", color=drawing.GREY, **place)
        ax.grid(axis="x", color="#e4e4e4", linewidth=1)
        ax.xaxis.set_major_formatter(lambda number, _: drawing.count(number))
        ax.minorticks_off()
        return drawing.finish(ax, _sizes_sentence(known, [card.id for card in cards[len(known) :]]))


def _size_row(ax, y: int, card) -> None:
    label, colour, active = drawing.count(card.parameters), drawing.BLUE, card.active_parameters
    if card.kind == "moe":
        label, colour = f"{label} total", drawing.ORANGE
        ax.plot([active, card.parameters], [y, y], color=colour, linewidth=3, zorder=2)
        ax.plot(active, y, "o", color="white", markersize=12, markeredgecolor=colour, markeredgewidth=3)
        ax.annotate(f"{drawing.count(active)} active", (active, y), (-10, 0), **drawing.BESIDE, ha="right")
    ax.plot(card.parameters, y, "o", markersize=13, color=colour, zorder=3)
    ax.annotate(label, (card.parameters, y), (11, 0), **drawing.BESIDE, weight="bold")


def _sizes_sentence(known, hidden: list[str]) -> str:
    small, large = known[0], known[-1]
    ratio = large.parameters / small.parameters
    times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    words = [f"{large.id} is {times} times as large as {small.id}"]
    if len(known) == 1:
        words = [f"{small.id} has {drawing.count(small.parameters)} parameters"]
    for sparse in [card for card in known if card.kind == "moe"][:1]:
        share = sparse.active_parameters / sparse.parameters
        words.append(f"{sparse.id} uses {share:.0%} of its parameters per token")
    if hidden:
        words.append(f"the size of {' and '.join(hidden)} was never published")
    return "; ".join(words) + "."


def memory(fits):
    """What each precision needs (weights, KV cache, runtime) against the machine's memory, with the verdict."""
    machine, fits = fits.machine, listed(fits, "Fit")
    if fits[0].total_bytes is None:
        raise BadRequest(f"The size of {fits[0].model} was never published, so there is nothing to draw.")
    memories = (machine.ram_available_bytes, "free RAM", "--"), (machine.ram_total_bytes, "all RAM", "-")
    # from the largest on: the longest line is the smallest memory, and none crosses another's label
    lines = sorted((line for line in (*memories, (machine.vram_bytes, "GPU memory", ":")) if line[0]), reverse=True)
    reach = max(lines[0][0], *(fit.total_bytes for fit in fits)) / 1e9
    height, names = 0.55 * len(fits) + 0.26 * len(lines), [fit.precision for fit in fits]
    with drawing.canvas(height, legend_rows=1, rows=names) as ax:
        left = [0.0] * len(fits)
        for name, field, colour, hatch in PARTS:
            widths = [getattr(fit, field) / 1e9 for fit in fits]
            look = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            ax.barh(range(len(fits)), widths, left=left, height=0.62, **look)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for y, fit in enumerate(fits):
            words = f"{gigabytes(fit.total_bytes)} · {fit.verdict}"
            ax.text(left[y] + reach * 0.012, y, words, va="center", fontweight="bold", bbox=PAPER)
        for row, (size, name, dash) in enumerate(lines):
            gb, y = size / 1e9, len(fits) - 0.25 + 0.45 * row
            ax.vlines(gb, -0.5, y + 0.2, color=drawing.INK, linestyle=dash, linewidth=2.2, zorder=1.5)
            side, step = ("right", -0.01) if gb > reach * 0.7 else ("left", 0.01)
            ax.text(gb + reach * step, y, f"{name} {gigabytes(size)}", ha=side, va="center", fontsize=12, bbox=PAPER)
        ax.set(xlim=(0, reach * 1.04), ylim=(len(fits) - 0.5 + 0.45 * len(lines), -0.5))
        ax.set_xlabel(drawable(f"GB of memory for {fits[0].model}"))
        drawing.legend(ax)
        return drawing.finish(ax, _memory_sentence(fits, machine.ram_available_bytes))


def _memory_sentence(fits, free_bytes: int) -> str:
    by_size = sorted(fits, key=lambda fit: fit.total_bytes)
    inside, free = [fit for fit in by_size if fit.total_bytes <= free_bytes], f"{gigabytes(free_bytes)} of free RAM"
    one = inside[-1] if inside else by_size[0]
    name, size = f"{one.model} in {one.precision}", gigabytes(one.total_bytes)
    if not inside:
        return f"None fits in the {free}: even {name} needs {size}."
    return f"{len(inside)} of {len(fits)} fit in the {free}; the largest of these is {name} with {size}."


def benchmarks(rows):
    """Published scores: a line per benchmark, a shape and colour per model, hollow for a second figure of the same."""
    figures, publishers = {}, {}
    for row in listed(rows, "row of a benchmark table"):
        figures.setdefault((row.model, row.benchmark), []).append(row.value)
        publishers[row.publisher] = None
    models, tests = (list(dict.fromkeys(names)) for names in zip(*figures, strict=True))
    height = (0.3 + 0.07 * len(models)) * len(tests)
    with drawing.canvas(height, legend_rows=-(-len(models) // 3), rows=tests) as ax:
        for y in range(0, len(tests), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#f3f3f3", zorder=0)
        for index, model in enumerate(models):
            colour, shape = drawing.COLOURS[index % len(drawing.COLOURS)], drawing.SHAPES[index % len(drawing.SHAPES)]
            full = {"color": colour, "markeredgecolor": "white"}
            hollow = {"color": "white", "markeredgecolor": colour, "markeredgewidth": 2.2}
            ax.plot([], [], shape, markersize=12, label=model, **full)
            for y, test in enumerate(tests):
                lane = y + (index - (len(models) - 1) / 2) * 0.75 / len(models)  # near scores stay apart
                for number, value in enumerate(figures.get((model, test), ())):
                    ax.plot(value, lane, shape, markersize=12, zorder=3, **(hollow if number else full))
        ax.grid(axis="x", color="#dddddd", linewidth=1)
        ax.set_xlabel("score")
        drawing.legend(ax)
        said = ", ".join(publishers) if len(publishers) <= 3 else f"{len(publishers)} publishers"
        sizes = [(len(models), "model"), (len(tests), "benchmark")]
        counts = " on ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in sizes)
        words = f"{counts}, as reported by {said}"
        (model, test), values = max(figures.items(), key=lambda item: max(item[1]) - min(item[1]))
        if max(values) > min(values):
            words += f". Hollow is a second source: on {test}, {model} has {max(values):g} or {min(values):g}"
        return drawing.finish(ax, words + ".")

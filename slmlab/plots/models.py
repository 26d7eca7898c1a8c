"""Plots of models: how large they are, whether they fit this machine, what their publishers say they score."""

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing

PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
PARTS = (
    ("weights", "weights_bytes", drawing.BLUE, ""),
    ("KV cache", "kv_bytes", drawing.AMBER, "//"),
    ("runtime", "overhead_bytes", "#bdbdbd", ".."),
)


def sizes(cards):
    """Parameters on a log axis; a mixture of experts joins what it uses per token to what it holds."""
    cards, rows = [card for card in cards if not card.shipped], {}
    for card in sorted(cards, key=lambda card: card.parameters or float("inf")):
        rows.setdefault((card.parameters, card.active_parameters, card.kind), []).append(card)
    known = drawing.listed((size for size in rows if size[0]), "card whose size was published")
    # to the left of a dot nothing stands, to the left of a mixture's hollow one its label
    low = min(active / 60 if kind == "moe" else total / 2 for total, active, kind in known)
    names = [", ".join(card.id for card in alike) for alike in rows.values()]
    with drawing.canvas(0.1 + 0.42 * len(rows), rows=names) as ax:
        ax.set(xscale="log", xlim=(low, known[-1][0] * 1.6), xlabel="parameters (each step is ten times more)")
        for y, (total, active, kind) in enumerate(rows):
            if not total:
                ax.annotate("undisclosed", (low, y), (8, 0), **drawing.BESIDE, style="italic", color=drawing.GREY)
                continue
            colour, label = (drawing.ORANGE, " total") if kind == "moe" else (drawing.BLUE, "")
            if kind == "moe":
                ax.plot([active, total], [y, y], color=colour, linewidth=3, zorder=2)
                ax.plot(active, y, "o", color="white", markersize=12, markeredgecolor=colour, markeredgewidth=3)
                ax.annotate(f"{drawing.count(active)} active", (active, y), (-10, 0), **drawing.BESIDE, ha="right")
            ax.plot(total, y, "o", markersize=13, color=colour, zorder=3)
            ax.annotate(drawing.count(total) + label, (total, y), (11, 0), **drawing.BESIDE, weight="bold")
        ax.grid(axis="x", color="#e4e4e4", linewidth=1)
        ax.xaxis.set_major_formatter(lambda number, _: drawing.count(number))
        ax.minorticks_off()
        return drawing.finish(ax, _sizes_sentence([alike[0] for alike in rows.values()]))


def _sizes_sentence(cards) -> str:
    known, hidden = [card for card in cards if card.parameters], [card.id for card in cards if not card.parameters]
    times = known[-1].parameters / known[0].parameters
    words = [f"{known[-1].id} is {times:,.3g} times as large as {known[0].id}."]
    if times == 1:
        words = [f"{known[0].id} has {drawing.count(known[0].parameters)} parameters."]
    shares = {card.id: card.active_parameters / card.parameters for card in known if card.kind == "moe"}
    words += [f"{name} uses {share:.0%} of its parameters for each token." for name, share in shares.items()]
    return " ".join([*words, *(f"The size of {name} was never published." for name in hidden)])


def memory(fits):
    """What each precision needs (weights, KV cache, runtime) against the machine's memory, with the verdict."""
    from slmlab.show import in_bytes

    machine, fits = fits.machine, drawing.listed(fits, "Fit")
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
            words = f"{in_bytes(fit.total_bytes)} · {fit.verdict}"
            ax.text(left[y] + reach * 0.012, y, words, va="center", fontweight="bold", bbox=PAPER)
        for row, (size, name, dash) in enumerate(lines):
            gb, y = size / 1e9, len(fits) - 0.25 + 0.45 * row
            ax.vlines(gb, -0.5, y + 0.2, color=drawing.INK, linestyle=dash, linewidth=2.2, zorder=1.5)
            side, step = ("right", -0.01) if gb > reach * 0.7 else ("left", 0.01)
            ax.text(gb + reach * step, y, f"{name} {in_bytes(size)}", ha=side, va="center", fontsize=12, bbox=PAPER)
        ax.set(xlim=(0, reach * 1.04), ylim=(len(fits) - 0.5 + 0.45 * len(lines), -0.5))
        ax.set_xlabel(f"GB of memory for {fits[0].model}")
        drawing.legend(ax)
        inside = sum(fit.total_bytes <= machine.ram_available_bytes for fit in fits)
        small = min(fits, key=lambda fit: fit.total_bytes)
        words = f"{inside} of {len(fits)} fit in the {in_bytes(machine.ram_available_bytes)} of free RAM. The smallest,"
        return drawing.finish(ax, f"{words} {small.model} in {small.precision}, needs {in_bytes(small.total_bytes)}.")


def benchmarks(rows):
    """Published scores: a line per benchmark, a shape and colour per model, hollow for a second figure of the same."""
    figures = {}
    for row in drawing.listed(rows, "row of a benchmark table"):
        figures.setdefault((row.model, row.benchmark), []).append(row.value)
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
        words = "Scores as the publishers report them"
        (model, test), values = max(figures.items(), key=lambda item: max(item[1]) - min(item[1]))
        if max(values) > min(values):
            words += f". A hollow mark is a second source: on {test}, {model} has {max(values):g} or {min(values):g}"
        return drawing.finish(ax, words + ".")

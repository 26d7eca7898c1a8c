"""Plots of models: how large they are, how they are built, what their publishers say they score."""

from slmlab.errors import BadRequest
from slmlab.plots import style as drawing


def sizes(cards):
    """Parameters on a log axis; a mixture of experts joins what it uses per token to what it holds."""
    cards = sorted(cards, key=lambda card: card.parameters or float("inf"))
    known = drawing.listed((card for card in cards if card.parameters), "card whose size was published")
    # to the left of a dot nothing stands, to the left of a mixture's hollow one its label
    low = min(card.active_parameters / (60 if card.kind == "moe" else 2) for card in known)
    with drawing.canvas(0.1 + 0.42 * len(cards), rows=[card.id for card in cards]) as ax:
        ax.set(xscale="log", xlim=(low, known[-1].parameters * 1.6), xlabel="parameters (each step is ten times more)")
        for y, card in enumerate(cards):
            total, active = card.parameters, card.active_parameters
            if not total:
                ax.annotate("undisclosed", (low, y), (8, 0), **drawing.BESIDE, style="italic", color=drawing.GREY)
                continue
            colour, label = (drawing.ORANGE, " total") if card.kind == "moe" else (drawing.BLUE, "")
            if card.kind == "moe":
                ax.plot([active, total], [y, y], color=colour, linewidth=3, zorder=2)
                ax.plot(active, y, "o", color="white", markersize=12, markeredgecolor=colour, markeredgewidth=3)
                ax.annotate(f"{drawing.count(active)} active", (active, y), (-10, 0), **drawing.BESIDE, ha="right")
            ax.plot(total, y, "o", markersize=13, color=colour, zorder=3)
            ax.annotate(drawing.count(total) + label, (total, y), (11, 0), **drawing.BESIDE, weight="bold")
        ax.grid(axis="x", color="#e4e4e4", linewidth=1)
        ax.xaxis.set_major_formatter(lambda number, _: drawing.count(number))
        ax.minorticks_off()
        small, large = known[0], known[-1]
        words = [f"{large.id} is {large.parameters / small.parameters:,.3g} times as large as {small.id}."]
        shares = {card.id: card.active_parameters / card.parameters for card in known if card.kind == "moe"}
        words += [f"{name} uses {share:.0%} of its parameters for each token." for name, share in shares.items()]
        words += [f"The size of {card.id} was never published." for card in cards if not card.parameters]
        return drawing.finish(ax, " ".join(words))


def architecture(card, other=None):
    """What a configuration says, of one model or of two side by side; the last row has the colours of those above."""
    cards, words = [one for one in (card, other) if one], []
    if not all(one.architecture for one in cards):
        raise BadRequest("The configuration of a closed model was never published, so there is nothing to draw.")
    with drawing.canvas(3.55, rows=["layers", "attention", "feed-forward", "vocabulary", "parameters"]) as ax:
        for column, one in enumerate(cards):
            shape, left = one.architecture, 1.08 * column
            ax.text(left, -1.02, one.name, weight="bold")
            for y, (sentence, colours, widths) in enumerate(_boxes(shape)):
                widths = widths or [1 / len(colours)] * len(colours)
                starts = [left + sum(widths[:place]) for place in range(len(widths))]
                ax.barh([y] * len(starts), widths, 0.36, starts, color=colours, edgecolor=drawing.GREY, linewidth=0.6)
                ax.text(left, y - 0.25, sentence, fontsize=12, va="bottom")
            shares = [f"{name} {drawing.percent(part / shape.text_parameters)}" for name, part in shape.by_part.items()]
            words.append(f"Of the parameters of {one.name}: {', '.join(shares)}.")
        ax.set(xlim=(0, 1.08 * len(cards) - 0.07), ylim=(4.3, -1.3))
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        return drawing.finish(ax, " ".join(words))


def _boxes(shape):
    """Of each row the words, the colours of its boxes, and their widths where they differ."""
    heads, experts, busy = shape.heads, shape.experts, shape.experts_per_token
    yield shape.sight, [drawing.BLUE if whole else drawing.SKY for whole in shape.pattern], None
    sharing = [(drawing.BLUE, drawing.SKY)[head * shape.kv_heads // heads % 2] for head in range(heads)]
    yield f"{heads} heads of {shape.head_size} numbers, KV heads: {shape.kv_heads}", sharing, None
    wide, count = f"{shape.ffn:,} wide", drawing.count(shape.text_parameters)
    if experts > 1:
        wide = f"{experts} experts, {wide}; {busy} for a token"
        count += f", {drawing.count(shape.active_parameters)} for a token"
    yield wide, [drawing.GREEN] * busy + ["white"] * (experts - busy), None
    yield f"{shape.vocab:,} tokens of {shape.hidden:,} numbers", [drawing.ORANGE], None
    parts = [part / shape.text_parameters for part in shape.by_part.values()]
    yield count, [*[drawing.ORANGE] * (len(parts) - 2), drawing.BLUE, drawing.GREEN], parts


def benchmarks(rows):
    """Published scores: a line per benchmark, a shape and colour per model."""
    rows = drawing.listed(rows, "row of a benchmark table")
    models, tests = (list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("model", "benchmark"))
    height = (0.3 + 0.07 * len(models)) * len(tests)
    with drawing.canvas(height, legend_rows=-(-len(models) // 3), rows=tests) as ax:
        for y in range(0, len(tests), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#f3f3f3", zorder=0)
        for index, model in enumerate(models):
            colour, shape = drawing.COLOURS[index % len(drawing.COLOURS)], drawing.SHAPES[index % len(drawing.SHAPES)]
            lane = (index - (len(models) - 1) / 2) * 0.75 / len(models)  # near scores stay apart
            points = [(row.value, tests.index(row.benchmark) + lane) for row in rows if row.model == model]
            look = {"markersize": 12, "color": colour, "markeredgecolor": "white"}
            ax.plot(*zip(*points, strict=True), shape, label=model, **look)
        ax.grid(axis="x", color="#dddddd", linewidth=1)
        ax.set_xlabel("score")
        drawing.legend(ax)
        return drawing.finish(ax, "Scores as the publishers report them.")

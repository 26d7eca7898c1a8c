"""What happens inside a model, drawn: experts, a text's way through them, patches, where it looks, what it expects.

Pure: takes records and figures, gives figures with a sentence under them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from course.drawn.plots import GAP, bare, frame, panel
from course.inside.experts import Routing
from course.inside.vision import Gaze, Seen
from course.inside.words import Lean
from slmlab.plots import style as drawing
from slmlab.plots.style import drawable, visible

# Okabe and Ito's colours, each light and dark: neighbours in number differ in lightness as well
TINTS = (
    "#9ecae9 #0072b2 #f3b48b #b24b00 #8fd9bf #00795a #e8bcd3 #a8527f"
    " #f5d58c #9c6a00 #bfe3f7 #2a7aa9 #cfcfcf #6b6b6b #d9e59a #6f7d1c"
).split()
RUINED = 1000  # a perplexity from which a model can be called so
COLUMNS = 56  # letters in a line of a routing
FAINT = 0.02  # a patch with less of the attention is never drawn at full strength: nothing must not look like something


def expert_table(rows: Mapping, *, what="share of the choices", signed=False):
    """A table of experts: a row for each name with a figure per expert, dark where it is high. Shares are written in
    percent; `signed` figures, such as a damage, as they are, nan as a dot."""
    from matplotlib import colormaps

    names, table = list(rows), np.array([*rows.values()])
    top, experts = np.nanmax(np.abs(table)) or 1.0, table.shape[1]
    with drawing.canvas(0.44 * len(names) + 0.1, rows=names) as ax:
        for y, values in enumerate(table):
            shades = np.nan_to_num(values / top).clip(0, 1)
            fills = colormaps["Blues"](0.04 + 0.9 * shades)
            ax.bar(range(experts), 0.9, 0.94, bottom=y - 0.45, color=fills, edgecolor="none", gid="cell")
            for x, (value, shade) in enumerate(zip(values, shades, strict=True)):
                ink = "white" if shade > 0.55 else drawing.INK
                words = f"{value * 100:.0f}"
                if signed:
                    words = "·" if np.isnan(value) else f"{value:.2f}" if abs(value) >= 0.005 else "0"
                ax.text(x, y, words, ha="center", va="center", fontsize=11, color=ink)
        ax.set_xlim(-0.5, experts - 0.5)
        ax.set_xticks(range(experts), map(str, range(experts)))
        ax.tick_params(axis="x", length=0)
        ax.spines["bottom"].set_visible(False)
        ax.set_xlabel(f"expert · {what}")
        y, expert = np.argwhere(table == np.nanmax(table))[-1]
        if signed:
            sentence = f"The most: {np.nanmax(table):.2f} {what}, on {names[y]} and expert {expert}."
        else:
            even = f"If all got the same, each would get {1 / experts:.1%}"
            sentence = f"In percent of each row. Expert {expert} gets {table.max():.0%} of “{names[y]}”. {even}."
        return drawing.finish(ax, sentence)


def curves(read: Sequence[float], rows: Mapping, *, across="million bytes read in training",
           what="Bits per byte on held-out texts", told="", marker=""):  # fmt: skip
    """Lines side by side: for each name its value after so much of a training. `told`: a caption for other figures."""
    with drawing.canvas(2.7, legend_rows=1) as ax:
        for (name, values), colour, line in zip(rows.items(), drawing.COLOURS, ("-", "--", ":"), strict=False):
            ax.plot(read, values, line, marker=marker, color=colour, linewidth=2.2, label=drawable(name))
        ax.set_xlabel(across)
        drawing.legend(ax)
        ends = ", ".join(f"{values[-1]:.2f} for {name}" for name, values in rows.items())
        return drawing.finish(ax, told or f"{what}; lower is better. At the end: {ends}.")


def knobs(points: Sequence[Mapping]):
    """Trainings with LoRA: exact answers over the rate, a line for each rank; beside each point, what was forgotten."""
    with drawing.canvas(3.4, legend_rows=1) as ax:
        ranks = list(dict.fromkeys(one["rank"] for one in points))
        for rank, colour, shape, beside in zip(
            ranks, drawing.COLOURS, drawing.SHAPES, ((-30, 10), (10, -10), (10, 9), (10, 0)), strict=False
        ):
            mine = [one for one in points if one["rank"] == rank]
            xs, ys = [one["rate"] for one in mine], [100 * one["exact"].share for one in mine]
            name = "all weights" if rank == "all" else f"rank {rank}"
            ax.plot(xs, ys, ":", marker=shape, color=colour, markersize=9, linewidth=1.4, label=name)
            for one, x, y in zip(mine, xs, ys, strict=True):
                lost = f"{one['perplexity']:.0f}" if one["perplexity"] < RUINED else "ruined"
                ax.annotate(lost, (x, y), beside, **drawing.BESIDE, fontsize=12, color=colour)
        ax.set_xscale("log")
        rates = sorted({one["rate"] for one in points})
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.minorticks_off()
        ax.set_xlim(rates[0] * 0.8, rates[-1] * 1.4)
        ax.set_ylim(-12, 104)
        ax.set_ylabel("exact answers, of 100")
        ax.set_xlabel("rate of the training")
        drawing.legend(ax, columns=4)
        told = "Each point is one training. Beside it is the perplexity of other text: if it is low, little is lost."
        return drawing.finish(ax, told)


def calibration(rows: Mapping[str, Sequence[tuple[float, bool]]]):
    """For each name, answers as (the probability they were given, whether they were right), in five bins."""
    with drawing.canvas(3.2, legend_rows=1) as ax:
        ax.plot((0, 100), (0, 100), ":", color=drawing.GREY, label="right as often as sure")
        told = []
        for (name, answers), colour, shape in zip(rows.items(), drawing.COLOURS, drawing.SHAPES, strict=False):
            bins = [[one for one in answers if min(int(one[0] * 5), 4) == place] for place in range(5)]
            points = [(100 * np.mean(one, axis=0), len(one)) for one in bins if one]
            xs, ys = zip(*(point for point, _ in points), strict=True)
            ax.plot(xs, ys, shape + "-", color=colour, markersize=9, linewidth=1.6, label=drawable(name))
            for x, y, count in zip(xs, ys, (count for _, count in points), strict=True):
                ax.annotate(str(count), (x, y), (8, -11), **drawing.BESIDE, fontsize=12, color=colour)
            sure, right = np.mean(answers, axis=0)
            told.append(f"{name} is {sure:.0%} sure on average and right in {right:.0%}")
        ax.set(xlim=(0, 104), ylim=(-4, 106), xlabel="how sure it is, in percent", ylabel="right, of 100")
        drawing.legend(ax)
        return drawing.finish(ax, f"Numbers count the answers of a point. {'; '.join(told)}.")


def expert_colours(expert: int) -> tuple[str, str]:
    """The background of an expert's tokens and the ink that is read on it."""
    tint = TINTS[expert % len(TINTS)]
    red, green, blue = (int(tint[at : at + 2], 16) for at in (1, 3, 5))
    return tint, drawing.INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def routing(routing: Routing):
    """A text with each token on the colour of its first expert, whose number stands under it, a row for each layer."""
    layers, firsts = routing.layers, [routing.first(layer) for layer in routing.layers]
    names = [drawable(visible(piece.text), drawing.MONO, 12) if piece.text else "·" for piece in routing.pieces]
    height = 0.34 + 0.25 * len(layers) + 0.12
    places = _wrapped([max(len(name), 2) for name in names])
    lines = places[-1][2] + 1
    style = {"ha": "center", "va": "center", "family": drawing.MONO, "clip_on": True}
    with drawing.canvas(height * lines) as ax:
        for token, (column, width, line) in enumerate(places):
            x = column + width / 2
            ax.text(x, line * height + 0.17, names[token], fontsize=13, **style)
            for row, first in enumerate(firsts):
                top, (tint, ink) = line * height + 0.34 + 0.25 * row, expert_colours(first[token])
                ax.bar(x, 0.23, width - 0.08, top, color=tint, edgecolor="none", gid="expert")
                ax.text(x, top + 0.122, str(first[token]), fontsize=10, color=ink, **style)
        for line in range(lines):
            for row, number in enumerate(layers):
                y = line * height + 0.34 + 0.25 * row + 0.125
                ax.text(-0.6, y, f"layer {number}", fontsize=10, ha="right", va="center", color=drawing.GREY)
        ax.set_xlim(0, COLUMNS)
        ax.set_ylim(height * lines, 0)
        ax.set_axis_off()
        used = sorted({len(set(first)) for first in firsts})
        counts = f"{used[0]}" if len(used) == 1 else f"{used[0]} to {used[-1]}"
        begin = "The number under a token is its first expert, a row for each layer."
        return drawing.finish(ax, f"{begin} In a layer, {counts} of {routing.expert_count} experts are a first choice.")


def _wrapped(widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Column, width and line of each token."""
    places, column, line = [], 0, 0
    for width in widths:
        if column + width > COLUMNS:
            column, line = 0, line + 1
        places.append((column, width, line))
        column += width
    return places


def patches(seen: Seen):
    """A picture as the model takes it, cut into patches; each becomes one token, counted as one reads."""
    rows, columns = seen.projected.shape[:2]
    height, width = seen.pixels.shape[:2]
    with drawing.canvas(4.0) as ax:
        ax.imshow(seen.pixels, extent=(0, columns, rows, 0), interpolation="nearest")
        ax.hlines(range(rows + 1), 0, columns, color="#7a9cc6", linewidth=0.7)
        ax.vlines(range(columns + 1), 0, rows, color="#7a9cc6", linewidth=0.7)
        style = {"fontsize": 8, "color": drawing.GREY, "ha": "left", "va": "top", "gid": "patch"}
        for row, column in [*((0, column) for column in range(columns)), *((row, 0) for row in range(1, rows))]:
            ax.text(column + 0.06, row + 0.05, str(row * columns + column + 1), **style)
        bare(ax)
        cut = f"{width} x {height} pixels in {rows} x {columns} patches of {height // rows} x {width // columns}"
        words = f"{cut}. These are {rows * columns} tokens for {seen.model}, whatever is in the picture."
        return drawing.finish(ax, words, pictures=True)


def seen(seen: Seen, patch: tuple[int, int] = (0, 0)):
    """A picture, its patches coloured by what the encoder found in them, and how alike they are to one of them."""
    rows, columns = seen.projected.shape[:2]
    alike = seen.likeness(*patch)
    with drawing.canvas(3.0) as ax:
        panel(ax, 0, "the picture", seen.pixels)
        panel(ax, 1, "what the encoder makes of it", seen.as_colours())
        panel(ax, 2, "alike to the marked patch", alike, cmap="cividis", vmin=-0.2, vmax=1)
        for number in (0, 2):
            left = number * (1 + GAP)
            frame(ax, left + patch[1] / columns, patch[0] / rows, 1 / columns, 1 / rows)
        bare(ax, 3)
        return drawing.finish(
            ax,
            "Middle: patches whose numbers are alike have colours that are alike. Right: yellow patches are like the "
            f"marked one, number {patch[0] * columns + patch[1] + 1}, and blue ones are not. "
            f"{float((alike > 0.6).mean()):.0%} of the patches are much like it (likeness above 0.6).",
            pictures=True,
        )


def gaze(gaze: Gaze, texts: Sequence[str], picture: int = 0, last=False):
    """Where a model looked as it began parts of its answer, the first time that they come or the last: the picture
    once for each part, orange where it looked, on one scale for the whole answer; under it the picture's share."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    tokens = [gaze.place_of(text, last) for text in texts]
    most = max([FAINT, *(float(gaze.on(token, picture).max()) for token in range(len(gaze.pieces)))])
    names = [f"before {visible(text.strip())}" for text in texts]
    glow = LinearSegmentedColormap.from_list("gaze", ["white", drawing.ORANGE])
    heat = ScalarMappable(PowerNorm(0.5, 0, most), glow)  # by the root: a patch with little is seen as well
    side = 16 * gaze.weights.shape[-1]
    grey = 0.4 + 0.6 * np.asarray(gaze.pictures[picture].image.convert("L").resize((side, side)))[:, :, None] / 255
    with drawing.canvas(11.9 / max(len(texts), 3)) as ax:
        for number, (name, token) in enumerate(zip(names, tokens, strict=True)):
            glowing = np.kron(gaze.on(token, picture), np.ones((16, 16)))
            panel(ax, number, name, grey * heat.to_rgba(glowing)[:, :, :3])
            left, share = number * (1 + GAP), gaze.share(token)
            ax.barh(1.09, [share, 1 - share], 0.06, [left, left + share], color=[drawing.ORANGE, "#d0d0d0"])
            words = f"{share:.0%} picture, {1 - share:.0%} text"
            ax.text(left + 0.5, 1.14, words, ha="center", va="top", fontsize=11, gid="share")
        bare(ax, len(texts))
        ax.set_ylim(1.64, -0.12)
        key = {"cax": ax.inset_axes([0.25, 0.14, 0.5, 0.035]), "ticks": [0, most / 16, most / 4, most]}
        bar = ax.figure.colorbar(heat, orientation="horizontal", **key)
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
        bar.set_label("share of the attention that one patch gets", fontsize=11)
        words = f"Orange is where {gaze.model} looks as it chooses the next token: the mean of all heads and layers. "
        words += (
            f"Most of any patch in this answer: {most:.1%}. The bars: how much goes to the picture and to the text."
        )
        return drawing.finish(ax, words, pictures=True)


def leans(found: Sequence[Lean]):
    """Each word's lean as a bar from the middle, to the right for the first of the two words."""
    first, second, top = found[0].first, found[0].second, found[0]
    with drawing.canvas(0.36 * len(found), rows=[one.word for one in found]) as ax:
        for y, one in enumerate(found):
            colour, hatch = (drawing.BLUE, "") if one.share >= 0.5 else (drawing.ORANGE, "//")
            ax.barh(y, one.share - 0.5, left=0.5, height=0.66, color=colour, hatch=hatch, edgecolor="white")
            side, step = ("left", 0.008) if one.share >= 0.5 else ("right", -0.008)
            ax.text(one.share + step, y, f"{one.share:.0%} {first}", ha=side, va="center", fontsize=12)
        ax.axvline(0.5, color=drawing.INK, linewidth=1.2)
        ax.set(xlim=(-0.1, 1.1), xticks=(0, 0.5, 1), xticklabels=(f"always {second}", "even", f"always {first}"))
        ahead = sum(one.share > 0.5 for one in found)
        words = f"{ahead} of {len(found)} lean to “{first}”; {top.word} most, with {top.share:.0%}"
        return drawing.finish(ax, f"{words}; {found[-1].word} least, with {found[-1].share:.0%}.")


def attention(words: Sequence[str], weights):
    """One head's weights: a row for the word that looks, a column for the word that is looked at."""
    table = [[float(weight) for weight in row] for row in weights]
    with drawing.canvas(0.42 * len(words) + 0.3, rows=words) as ax:
        ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(table):
            for x, weight in enumerate(row[: y + 1]):
                ink = "white" if weight > 0.55 else drawing.INK
                ax.text(x, y, f"{weight:.0%}", ha="center", va="center", fontsize=12, color=ink)
        ax.set_xticks(range(len(words)), [drawable(word) for word in words])
        ax.xaxis.tick_top()
        ax.tick_params(axis="x", length=0)
        ax.spines["bottom"].set_visible(False)
        last = table[-1]
        most = max(range(len(words)), key=lambda x: last[x])
        rule = "Read a row from left to right: how much that word looks at each word up to itself"
        return drawing.finish(ax, f"{rule}. “{words[-1]}” looks most at “{words[most]}”, with {last[most]:.0%}.")

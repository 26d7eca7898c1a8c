"""Plots of what models said: tokens in time, in a strip and by probability, and speeds."""

from collections.abc import Mapping

from slmlab.plots import style as drawing

COLUMNS = 62  # characters of 14 point type in a line of the figure


def timeline(replies):
    """Each token as a stroke at its time since the request; several replies (name -> reply) are rows."""
    named = replies if isinstance(replies, Mapping) else {replies.model: replies}
    names, replies = zip(*drawing.listed(named.items(), "Reply"), strict=True)
    times = [[token.time_s - reply.start.time_s for token in reply.tokens] for reply in replies]
    end = max(row[-1] for row in times)
    with drawing.canvas(0.25 + 0.8 * len(times), rows=names) as ax:
        for y, row in enumerate(times):
            colour = drawing.COLOURS[y % len(drawing.COLOURS)]
            pace = f"s\n{(len(row) - 1) / (row[-1] - row[0]):,.0f} per s" if len(row) > 1 else ""
            ax.barh(y, row[0], height=0.16, color="#d0d0d0")
            ax.vlines(row, y - 0.3, y + 0.3, color=colour, linewidth=2.2, alpha=0.85)
            ax.plot(row[0], y, marker=">", color=colour, markersize=9, markeredgecolor="white")
            ax.text(row[0], y - 0.36, f"first token {drawing.seconds(row[0])}", fontsize=12, va="bottom")
            ax.text(row[-1] + end * 0.015, y, f"{len(row)} token{pace}", fontsize=12, va="center", linespacing=1.3)
        ax.set(xlim=(0, end * 1.02), ylim=(len(times) - 0.55, -0.85), xlabel="seconds since the request")
        first, last = (min(range(len(times)), key=lambda y: times[y][at]) for at in (0, -1))
        words = f"The first token comes after {drawing.seconds(times[first][0])}, from {names[first]}. {names[last]} is"
        words += f" done after {drawing.seconds(times[last][-1])}{', before the others' * (len(times) > 1)}."
        return drawing.finish(ax, words)


def next_tokens(probabilities):
    """The likeliest next tokens as bars."""
    rows = drawing.listed(probabilities, "TokenProbability")
    shares = [row.probability for row in rows]
    texts = [drawing.visible(row.text) for row in rows]
    with drawing.canvas(0.42 * len(rows), rows=texts) as ax:
        bars = ax.barh(range(len(rows)), shares, height=0.68, color=drawing.BLUE, edgecolor="white")
        ax.bar_label(bars, [drawing.percent(share) for share in shares], padding=5, fontsize=12)
        ax.set_xlim(0, max(shares) * 1.02)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        best = shares.index(max(shares))
        words = f"“{texts[best]}” comes next with {drawing.percent(shares[best])}. These {len(rows)} tokens"
        return drawing.finish(ax, f"{words} hold {sum(shares):.0%} of all probability.")


def speeds(rows: Mapping[str, object], limit: Mapping[str, float] | None = None):
    """Decoded tokens per second. `rows`: name -> a figure or Metrics; `limit`: name -> what the memory allows."""
    rates = {name: getattr(one, "decode_tokens_per_s", one) for name, one in drawing.listed(rows.items(), "speed")}
    limits = {name: limit[name] for name in rates if limit and name in limit}
    reach = max([*rates.values(), *limits.values()])
    with drawing.canvas(0.1 + 0.52 * len(rates), legend_rows=bool(limits), rows=list(rates)) as ax:
        for y, (name, rate) in enumerate(rates.items()):
            ax.hlines(y, 0, rate, color=drawing.SKY, linewidth=3, zorder=1)
            above = limits.get(name, 0) - rate
            label_at = rate + above if 0 <= above < reach * 0.14 else rate  # beside the limit, not under it
            ax.annotate(f"{rate:,.0f}", (label_at, y), (13, 0), **drawing.BESIDE, weight="bold")
        ax.plot(list(rates.values()), range(len(rates)), "o", markersize=14, color=drawing.BLUE, label="measured")
        if limits:
            places = [list(rates).index(name) for name in limits]
            line = {"color": drawing.ORANGE, "markersize": 24, "markeredgewidth": 4, "zorder": 4}
            ax.plot(list(limits.values()), places, "|", **line, label="limit of the memory bandwidth")
            drawing.legend(ax, markerscale=0.7)
        ax.set(xlim=(0, reach * 1.04), xlabel="tokens per second")
        fastest = max(rates, key=rates.get)
        gives = "is fastest here, with" if len(rates) > 1 else "gives"
        words = f"{fastest} {gives} {rates[fastest]:,.0f} tokens per second"
        if fastest in limits:
            words += f". That is {rates[fastest] / limits[fastest]:.0%} of what the speed of the memory allows"
        return drawing.finish(ax, words + ".")


def token_strip(pieces, *, ids: bool = False):
    """The tokens of a text as a strip of boxes, wrapped like a paragraph; `ids=True` writes each one's id under it."""
    from matplotlib.patches import FancyBboxPatch

    pieces = drawing.listed(pieces, "token")
    names = [drawing.drawable(drawing.visible(piece.text), drawing.MONO, COLUMNS // 2) for piece in pieces]
    places, column, line = [], 0, 0
    for piece, name in zip(pieces, names, strict=True):
        cell = max(len(name), len(str(piece.id)) if ids else 0) + 1
        if column + cell > COLUMNS:
            column, line = 0, line + 1
        places.append((column, line, cell))
        column += cell
    with drawing.canvas((0.66 if ids else 0.42) * (line + 1)) as ax:
        style = {"ha": "center", "va": "center", "family": drawing.MONO}
        look = {"boxstyle": "round,pad=0,rounding_size=0.15", "mutation_aspect": 0.6}
        look |= {"edgecolor": "#6b6b6b", "linewidth": 1.2}
        for number, (column, row, cell) in enumerate(places):
            paper, middle = ("#DCEBF5", "#FBEBD3")[number % 2], column + cell / 2
            ax.add_patch(FancyBboxPatch((column + 0.08, row + 0.07), cell - 0.16, 0.86, facecolor=paper, **look))
            ax.text(middle, row + (0.33 if ids else 0.49), names[number], fontsize=14, **style)
            if ids:
                ax.text(middle, row + 0.71, str(pieces[number].id), fontsize=12, color=drawing.GREY, **style)
        ax.set(xlim=(0, COLUMNS), ylim=(line + 1, 0))
        ax.set_axis_off()
        signs = {"␣": "a space", "⏎": "a new line", "�": "part of a character"}
        meanings = [f" {sign} is {meaning}." for sign, meaning in signs.items() if sign in "".join(names)]
        words = f"{len(names)} tokens, a box each." if len(names) > 1 else "One token."
        return drawing.finish(ax, words + "".join(meanings))

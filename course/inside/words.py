"""What a text model expects and where it looks: which of two words it leans to, and what one head attends to.

Measures and draws; knows nothing about experts or pictures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slmlab.plots import style as drawing
from slmlab.plots.style import drawable


@dataclass(frozen=True)
class Lean:
    """How a model splits a choice between two words after a sentence that mentions `word`."""

    word: str
    first: str
    second: str
    share: float  # the first word's part of the two: 0.5 is even


def leans(model, template: str, words: Sequence[str], first: str, second: str) -> list[Lean]:
    """For each word in the template, the probabilities of two next words; the strongest lean to `first` on top."""

    def chance(text: str, next_word: str) -> float:
        return math.exp(sum(value for _, value in model.logprobs(f" {next_word}", after=text)))

    found = []
    for word in words:
        one, other = (chance(template.format(word), each) for each in (first, second))
        found.append(Lean(word, first, second, one / (one + other)))
    return sorted(found, key=lambda one: -one.share)


def draw_leans(found: Sequence[Lean]):
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


def draw_attention(words: Sequence[str], weights):
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

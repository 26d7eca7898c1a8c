"""Watching a small mixture of experts learn: the load of its experts while the steps go by.

Gives the moments of a training; shows them in a notebook as they come. Knows nothing about files.
"""

from collections.abc import Mapping

import numpy as np

from course.live import in_place
from course.sparse import Moment, Recipe, Training
from slmlab.errors import BadRequest
from slmlab.plots.style import BLUE

SMALL = {"layers": 2, "width": 64, "experts": 8, "batch": 20, "length": 128, "warm_up": 20}
SHOW_EVERY = 10


def watch_training(texts: Mapping[str, str], *, steps: int = 150, **changes) -> list[Moment]:
    """Train a very small mixture of experts on some texts and show the load of its experts; gives every step's moment.

    `changes` are fields of the recipe: `balance=0` takes the balance loss away, `seed=1` begins elsewhere. Interrupt it
    whenever you like: what was seen is kept.
    """
    recipe = Recipe(**{"steps": steps, **SMALL, **changes})
    data = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
    if short := [name for name, text in data.items() if len(text) <= recipe.length]:
        raise BadRequest(f"Each text needs more than {recipe.length} bytes: {', '.join(short)}.")
    training, moments, place = Training(recipe, data), [], None
    try:
        while training.step < recipe.steps:
            moments.append(training.advance())
            if training.step % SHOW_EVERY == 0 or training.step == recipe.steps:
                words = _words(moments[-1], recipe.steps)
                place = in_place(place, _bars(moments[-1], words), words)
    except KeyboardInterrupt:
        print(f"Stopped after {training.step} of {recipe.steps} steps.")
    return moments


def _words(moment: Moment, steps: int) -> str:
    loads = ", ".join(f"layer {layer} {row.max():.0%} and {row.min():.0%}" for layer, row in enumerate(moment.load))
    bits = f"{moment.bits_per_byte:.2f} bits per byte"
    return f"step {moment.step} of {steps} · {bits} · busiest and idlest expert: {loads}"


def _bars(moment: Moment, words: str) -> str:
    layers = "".join(_layer(number, row) for number, row in enumerate(moment.load))
    return f'{words}<div style="display: flex; gap: 24px; margin-top: 6px">{layers}</div>'


def _layer(number: int, shares: np.ndarray) -> str:
    """A bar for each expert over its share in percent; the thin line is an even share."""
    bars = "".join(
        f'<div style="width: 34px; text-align: center"><div style="height: {round(200 * share)}px; background: {BLUE}">'
        f'</div><div style="font-size: 12px">{share * 100:.0f}</div></div>'
        for share in shares
    )
    even = f"position: absolute; left: 0; right: 0; bottom: {round(200 / len(shares)) + 18}px; border-top: 1px dashed"
    row = "position: relative; display: flex; align-items: flex-end; gap: 3px; min-height: 110px"
    title = f"<div>layer {number}, percent of the choices</div>"  # in the page's own ink, light or dark
    return f'<div><div style="{row}"><div style="{even}"></div>{bars}</div>{title}</div>'

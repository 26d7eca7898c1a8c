"""A playground for sampling: sliders that re-scale the probabilities of the next token, seen as bars.

The model is asked once per text; moving a slider is arithmetic on what it said.
"""

from html import escape

import numpy as np

from course.live import FULL, Live, bar_table, ipywidgets, paragraph
from slmlab.plots.style import BLUE, percent, visible
from slmlab.records import Sampling
from slmlab.sampling import filter_probabilities

EVERY = 10**7  # the whole vocabulary: a high temperature brings up tokens from far down the list
SHOWN, DRAWN = 10, 10  # bars, and tokens at a click
_EXAMPLES = {
    "as the model gives it": Sampling(temperature=1.0),
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 1.5": Sampling(temperature=1.5),
    "top-p 0.8": Sampling(temperature=1.0, top_p=0.8),
}


class Playground(Live):
    """Temperature, top-p and top-k over the model's own next-token probabilities for a text."""

    def __init__(self, model, text: str):
        w = ipywidgets()
        self._model = model
        self._random = np.random.default_rng(0)
        size = {"style": {"description_width": "110px"}, "layout": FULL}
        self.text = w.Text(value=text, description="text (Enter)", **size)
        self.temperature = w.FloatSlider(value=1.0, min=0.0, max=2.0, step=0.05, description="temperature", **size)
        self.top_p = w.FloatSlider(value=1.0, min=0.05, max=1.0, step=0.05, description="top-p", **size)
        self.top_k = w.IntSlider(value=0, min=0, max=50, description="top-k (0: all)", **size)
        self.draw_button = w.Button(description=f"Draw {DRAWN}", button_style="primary", tooltip="Draw tokens")
        self.reset_button = w.Button(description="Reset", tooltip="The sliders as they were, and nothing drawn")
        self.bars = w.HTML()
        for slider in (self.temperature, self.top_p, self.top_k):
            slider.observe(lambda _: self._changed(), names="value")
        self.draw_button.on_click(lambda _: self.draw())
        self.reset_button.on_click(lambda _: self.reset())
        self.on_enter(self.text, self._read)
        buttons = w.HBox([self.draw_button, self.reset_button])
        self.lay_out(self.text, self.temperature, self.top_p, self.top_k, buttons, self.bars, max_width="900px")
        self._read()

    def _read(self) -> None:
        text = self.text.value
        rows = [row for row in self._model.next_token_probabilities(text, top=EVERY) if row.probability > 0]
        self.tokens, self._asked = sorted(rows, key=lambda row: -row.probability), text
        self._changed()

    def draw(self) -> None:
        """Draw some tokens with these settings, and count them beside the bars."""
        now = self.probabilities().astype(float)
        self.drawn += self._random.multinomial(DRAWN, now / now.sum())
        self._show()

    def reset(self) -> None:
        self.temperature.value, self.top_p.value, self.top_k.value = 1.0, 1.0, 0
        self._changed()

    def _changed(self) -> None:
        """What was drawn with other settings counts no more."""
        self.drawn = np.zeros(len(self.tokens), int)
        self._show()

    def probabilities(self, sampling: Sampling | None = None) -> np.ndarray:
        """For each of `.tokens`, its probability under these settings (without any: those of the sliders)."""
        sampling = sampling or Sampling(
            temperature=round(self.temperature.value, 4), top_p=round(self.top_p.value, 4), top_k=self.top_k.value
        )
        # the logarithm of a probability is its logit but for a constant, which softmax takes off again
        return filter_probabilities(np.log([row.probability for row in self.tokens]), sampling)

    def _show(self) -> None:
        now, first = self.probabilities(), self.tokens[0]
        left = int((now > 0).sum())
        self.bars.value = _bars(self.tokens, now[:SHOWN].tolist(), self.drawn.tolist())
        said = f"“{visible(first.text)}”: {percent(first.probability)} → {percent(float(now[0]))}. "
        one = "One token is left to draw, so nothing is left to chance."
        self.say(said + (one if left == 1 else f"{left:,} tokens can be drawn."))

    def _rows(self) -> list[tuple]:
        """For each token that is shown: itself, and its percent under the examples' settings."""
        columns = [self.probabilities(sampling)[:SHOWN].tolist() for sampling in _EXAMPLES.values()]
        return [(row, list(map(percent, values))) for row, *values in zip(self.tokens, *columns, strict=False)]

    def static_text(self) -> str:
        lines = [f"What comes after {self._asked!r} (run the notebook to move the sliders)", ""]
        lines.append("  ".join(["token".ljust(14), *(name.rjust(21) for name in _EXAMPLES)]))
        for row, values in self._rows():
            lines.append("  ".join([visible(row.text)[:14].ljust(14), *(value.rjust(21) for value in values)]))
        return "\n".join(lines)

    def static_html(self) -> str:
        head, body = "".join(f"<th>{escape(name)}</th>" for name in ("token", "", *_EXAMPLES)), ""
        for row, values in self._rows():
            blocks = "█" * round(row.probability * 20) or "▏"
            cells = "".join(f"<td>{value}</td>" for value in values)
            body += f"<tr><td><code>{escape(visible(row.text))}</code></td><td>{blocks}</td>{cells}</tr>"
        title = f"What comes after <code>{escape(self._asked)}</code> (run the notebook to move the sliders)"
        return f"<p>{title}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _bars(tokens, now: list[float], drawn: list[int]) -> str:
    """A bar for each token, from 0 to 100 % of the same width; how often it was drawn stands behind it."""
    rows, any_drawn = [], sum(drawn) > 0
    for row, value, count in zip(tokens, now, drawn, strict=False):
        place = "position: absolute; box-sizing: border-box; height: 100%; width:"
        after = f'<div style="{place} {value:.2%}; background: {BLUE}"></div>'
        before = f'<div style="{place} {row.probability:.2%}; border: 2px solid"></div>'
        track = f'<div style="position: relative; height: 16px; background: #8080802a">{after}{before}</div>'
        words = f"{percent(row.probability)} → <b>{percent(value)}</b>" + f" · drawn {count}" * any_drawn
        rows.append((f"<code>{escape(visible(row.text))}</code>", track, words))
    told = "A bar is 0 to 100% wide. Outlined: as the model gives it. Blue: with these settings."
    if any_drawn:
        told += f" {sum(drawn)} tokens drawn, {sum(drawn[SHOWN:])} of them not in this list."
    return paragraph(told) + bar_table(rows)

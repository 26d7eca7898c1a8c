"""A playground for sampling: sliders that re-scale the probabilities of the next token, seen as bars.

The model is asked once per text; moving a slider is arithmetic on what it said.
"""

from html import escape

import numpy as np

from course.live import FULL, Live, bar_table, ipywidgets, paragraph, wide
from slmlab.plots.style import BLUE, percent, visible
from slmlab.records import Sampling
from slmlab.sampling import filter_probabilities

EVERY = 10**7  # the whole vocabulary: a high temperature brings up tokens from far down the list
SHOWN = 10
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
        size = wide(110, 460)
        self.text = w.Text(value=text, description="text (Enter)", **size | {"layout": FULL})
        self.temperature = w.FloatSlider(value=1.0, min=0.0, max=2.0, step=0.05, description="temperature", **size)
        self.top_p = w.FloatSlider(value=1.0, min=0.05, max=1.0, step=0.05, description="top-p", **size)
        self.top_k = w.IntSlider(value=0, min=0, max=50, description="top-k (0: all)", **size)
        self.bars = w.HTML()
        for slider in (self.temperature, self.top_p, self.top_k):
            slider.observe(lambda _: self._draw(), names="value")
        self.on_enter(self.text, self._read)
        self.lay_out(self.text, self.temperature, self.top_p, self.top_k, self.bars)
        self._read()

    def _read(self) -> None:
        text = self.text.value
        rows = [row for row in self._model.next_token_probabilities(text, top=EVERY) if row.probability > 0]
        self.tokens, self._asked = sorted(rows, key=lambda row: -row.probability), text
        self._draw()

    def probabilities(self, sampling: Sampling | None = None) -> np.ndarray:
        """For each of `.tokens`, its probability under these settings (without any: those of the sliders)."""
        sampling = sampling or Sampling(
            temperature=round(self.temperature.value, 4), top_p=round(self.top_p.value, 4), top_k=self.top_k.value
        )
        # the logarithm of a probability is its logit but for a constant, which softmax takes off again
        return filter_probabilities(np.log([row.probability for row in self.tokens]), sampling)

    def _draw(self) -> None:
        now, first = self.probabilities(), self.tokens[0]
        left = int((now > 0).sum())
        self.bars.value = _bars(self.tokens[:SHOWN], now[:SHOWN].tolist())
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


def _bars(tokens, now: list[float]) -> str:
    top = max([row.probability for row in tokens] + now)
    rows = []
    for row, value in zip(tokens, now, strict=True):
        after = f'<div style="height: 13px; width: {value / top:.2%}; background: {BLUE}"></div>'
        before = f'<div style="height: 4px; width: {row.probability / top:.2%}; background: #8c8c8c"></div>'
        words = f"{percent(row.probability)} → <b>{percent(value)}</b>"
        rows.append((f"<code>{escape(visible(row.text))}</code>", after + before, words))
    return paragraph("grey: as the model gives it · blue: with these settings") + bar_table(rows)

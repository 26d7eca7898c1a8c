"""A box to type in that shows which experts each token wakes, for one model or for two beside each other.

The models are asked when the reader presses Enter; choosing a layer only shows what is known already.
"""

from html import escape

from course.inside import routing
from course.inside.plots import expert_colours
from course.live import FULL, Live, ipywidgets, paragraph
from slmlab.plots.style import visible


class RoutingBox(Live):
    """Type a text and see which experts wake; with two models, such as a trained and an untrained one, both."""

    def __init__(self, *models, text: str):
        w = ipywidgets()
        self._models = models
        self.routings = [routing(model, text) for model in self._models]
        label = {"description_width": "90px"}
        self.text = w.Text(value=text, description="text (Enter)", layout=FULL, style=label)
        layers = [("all layers", None)] + [(f"layer {layer}", layer) for layer in self.routings[0].layers]
        self.layer = w.ToggleButtons(options=layers, description="show", style=label | {"button_width": "90px"})
        self.view = w.HTML()
        self.layer.observe(lambda _: self._draw(), names="value")
        self.on_enter(self.text, self._read)
        self.lay_out(self.text, self.layer, self.view)
        self._draw()

    def _read(self) -> None:
        self.routings = [routing(model, self.text.value) for model in self._models]
        self._draw()

    def _draw(self) -> None:
        self.view.value = "".join(_strip(one, self.layer.value) for one in self.routings)
        self.say(self._said())

    def _said(self) -> str:
        shown, told = self.routings[0], []
        for layer in shown.layers if self.layer.value is None else [self.layer.value]:
            first = shown.first(layer)
            busiest = max(sorted(set(first)), key=first.count)
            told.append(f"layer {layer}: {len(set(first))} experts, most often {busiest}")
        return f"{len(shown.pieces)} tokens. First choices in {'; '.join(told)}."

    def static_text(self) -> str:
        return "\n\n".join(map(repr, self.routings))

    def static_html(self) -> str:
        strips = "".join(_strip(one, None) for one in self.routings)
        return f"<p>Run the notebook to type a text of your own.</p>{strips}{paragraph(self._said())}"


def _strip(shown, layer: int | None) -> str:
    """The text, a small column for each token: what it says, and under it its first expert in each layer shown."""
    layers = shown.layers if layer is None else (layer,)
    tokens = zip(shown.pieces, *map(shown.first, layers), strict=True)
    columns = "".join(_column(piece.text, experts) for piece, *experts in tokens)
    names = "".join(f'<div style="height: 20px; line-height: 20px">layer {one}</div>' for one in layers)
    head = f'<div style="font-size: 12px; padding: 25px 8px 0 0; text-align: right; white-space: nowrap">{names}</div>'
    body = f'<div style="display: flex; flex-wrap: wrap; row-gap: 8px">{columns}</div>'
    title = f'<div style="font-size: 14px; margin-top: 6px"><b>{escape(shown.model)}</b></div>'
    return f'{title}<div style="display: flex">{head}{body}</div>'


def _column(text: str, experts: list[int]) -> str:
    cells = ""
    for expert in experts:
        tint, ink = expert_colours(expert)
        colours = f"background: {tint}; color: {ink}"
        cells += f'<div style="{colours}; height: 19px; line-height: 19px; margin: 0 1px 1px 0">{expert}</div>'
    sign = escape(visible(text)) if text else "·"
    top = f'<div style="font-family: monospace; font-size: 16px; height: 25px; white-space: pre">{sign}</div>'
    return f'<div style="min-width: 23px; text-align: center; font-size: 12px">{top}{cells}</div>'

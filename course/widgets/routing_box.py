"""A box to type in that shows which experts each token wakes, for one model or for two beside each other.

The models are asked when the reader presses Enter; choosing a layer only shows what is known already.
"""

from html import escape

from course import inside
from course.inside.plots import expert_colours
from course.inside.router import Routing
from course.widgets.live import Live, ipywidgets, on_enter, paragraph
from slmlab.errors import BadRequest, SlmLabError
from slmlab.plots.style import listed, visible

_MOST = 600  # tokens that a page shows


class RoutingBox(Live):
    """A text and the experts it goes through. `.routings` holds the latest, a routing for each model."""

    def __init__(self, models, text: str):
        w = ipywidgets()
        self._models = models
        self.routings = self._route(text)
        if len({one.layers for one in self.routings}) > 1:
            raise BadRequest("These models have experts in different layers: show each in a box of its own.")
        wide = {"style": {"description_width": "90px"}}
        self.text = w.Text(value=text, description="text (Enter)", layout={"width": "98%"}, **wide)
        layers = [("all layers", None)] + [(f"layer {layer}", layer) for layer in self.routings[0].layers]
        self.layer = w.ToggleButtons(options=layers, description="show", **wide)
        self.layer.style.button_width = "90px"
        self.view, self.remark = w.HTML(), w.HTML()
        self.layer.observe(lambda _: self._draw(), names="value")
        on_enter(self.text, self.read)
        self.box = w.VBox([self.text, self.layer, self.view, self.remark])
        self._draw()

    def read(self) -> None:
        """Route the text in the box. One that the model refuses leaves what is shown as it was."""
        try:
            self.routings = self._route(self.text.value)
        except SlmLabError as fault:
            self.remark.value = paragraph(str(fault), role="status")
        else:
            self._draw()

    def _route(self, text: str) -> list[Routing]:
        return [inside.routing(model, text) for model in self._models]

    def _draw(self) -> None:
        self.view.value = "".join(_strip(one, self.layer.value) for one in self.routings)
        self.remark.value = paragraph(self._said(), role="status")

    def _said(self) -> str:
        layers = self.routings[0].layers if self.layer.value is None else [self.layer.value]
        tokens = len(self.routings[0].pieces)
        told = []
        for layer in layers:
            first = self.routings[0].first(layer)
            busiest = max(sorted(set(first)), key=first.count)
            told.append(f"layer {layer}: {len(set(first))} experts, most often {busiest}")
        return f"{tokens} tokens. First choices in " + "; ".join(told) + "."

    def static_text(self) -> str:
        return "\n\n".join(map(repr, self.routings))

    def static_html(self) -> str:
        strips = "".join(_strip(one, None) for one in self.routings)
        return f"<p>Run the notebook to type a text of your own.</p>{strips}{paragraph(self._said())}"


def routing_box(*models, text: str) -> RoutingBox:
    """Type a text and see which experts wake; with two models, such as a trained and an untrained one, both."""
    return RoutingBox(listed(models, "model"), text)


def _strip(routing: Routing, layer: int | None) -> str:
    """The text, a small column for each token: what it says, and under it its first expert in each layer shown."""
    layers = routing.layers if layer is None else (layer,)
    firsts = [routing.first(one) for one in layers]
    tokens = list(zip(routing.pieces, *firsts, strict=True))[:_MOST]
    columns = "".join(_column(piece.text, experts) for piece, *experts in tokens)
    if len(routing.pieces) > _MOST:
        columns += f"<div>… {len(routing.pieces) - _MOST:,} more</div>"
    names = "".join(f'<div style="height: 20px; line-height: 20px">layer {one}</div>' for one in layers)
    head = f'<div style="font-size: 12px; padding: 25px 8px 0 0; text-align: right; white-space: nowrap">{names}</div>'
    body = f'<div style="display: flex; flex-wrap: wrap; row-gap: 8px">{columns}</div>'
    title = f'<div style="font-size: 14px; margin-top: 6px"><b>{escape(routing.model)}</b></div>'
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

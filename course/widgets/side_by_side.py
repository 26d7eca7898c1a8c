"""Two models, one prompt: the answers side by side with what each cost, asked again from a box.

One after the other, never at once: on one machine they would share its cores and each would look slow.
"""

from collections.abc import Sequence
from html import escape

from course.evaluate import way_to_ask
from course.live import FULL, Live, ipywidgets
from slmlab.records import Reply
from slmlab.show import Table

_COLUMN = "text-align: left; vertical-align: top; width: 50%; padding: 4px 24px 4px 4px"
_HEADS = ("model", "tokens read", "tokens written", "first after", "tokens per second")


class SideBySide(Live):
    """The answers of several models to one prompt, with tokens and speed, and a box to ask them something else."""

    def __init__(self, models: Sequence, prompt: str, **sampling):
        w = ipywidgets()
        self.models = list(models)
        self.names = [" ".join(filter(None, (one.name, one.precision))) for one in models]
        self._sampling = {"max_tokens": 80} | sampling
        self.prompt = w.Text(value=prompt, description="prompt", layout=FULL)
        self.button = w.Button(description="Ask both", button_style="primary", tooltip="Ask every model (Enter)")
        self.answers = w.HTML()
        self.button.on_click(lambda _: self.ask(self.prompt.value))
        self.on_enter(self.prompt, lambda: self.ask(self.prompt.value))
        self.lay_out(self.prompt, self.button, self.answers)
        self.ask(prompt)

    def ask(self, prompt: str) -> None:
        """Ask every model, in turn, and show each answer as soon as it is whole."""
        self.asked, self.replies = prompt, []
        for name, model in zip(self.names, self.models, strict=True):
            self.say(f"{name} is writing …")
            try:
                reply = way_to_ask(model)(prompt, **self._sampling)
                reply.metrics  # noqa: B018 - reading it runs the answer to its end
            except Exception as fault:  # one model that refuses leaves the others their column
                reply = fault
            self.replies.append(reply)
            self.answers.value = self._html()
        self.say("")

    def _columns(self) -> tuple[list[tuple], list[tuple]]:
        """The name and the text of each answer, and the name and the figures."""
        named = list(zip(self.names, self.replies, strict=False))
        return [(name, _text(reply)) for name, reply in named], [(name, *_figures(reply)) for name, reply in named]

    def _html(self) -> str:
        texts, figures = self._columns()
        cells = "".join(
            f'<td style="{_COLUMN}"><b>{escape(name)}</b><br>'
            f'<span style="white-space: pre-wrap">{escape(text)}</span></td>'
            for name, text in texts
        )
        return f"<table><tbody><tr>{cells}</tr></tbody></table>{Table(_HEADS, figures)._repr_html_()}"

    def static_text(self) -> str:
        texts, figures = self._columns()
        return "\n\n".join([self.asked, *map(": ".join, texts), str(Table(_HEADS, figures))])

    def static_html(self) -> str:
        return f"<p>{escape(self.asked)}</p>{self._html()}"


def _text(reply: Reply | Exception) -> str:
    if isinstance(reply, Exception):
        return str(reply)
    return f"{reply.text}\n[{reply.end.fault}]" if reply.end and reply.end.fault else reply.text


def _figures(reply: Reply | Exception) -> list[str]:
    if isinstance(reply, Exception):
        return ["-"] * 4
    cost, formats = reply.metrics, ("{:,}", "{:,}", "{:.2f} s", "{:.0f}")
    values = (cost.prompt_tokens, cost.new_tokens, cost.ttft_s, cost.decode_tokens_per_s or None)
    return ["unknown" if one is None else text.format(one) for text, one in zip(formats, values, strict=True)]

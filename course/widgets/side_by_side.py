"""Two models, one prompt: the answers side by side with what each cost, asked again from a box.

One after the other, never at once: on one machine they would share its cores and each would look slow.
"""

import threading
from collections.abc import Sequence
from html import escape

from course.widgets.live import Live, ipywidgets, on_enter, paragraph
from slmlab.errors import BadRequest
from slmlab.records import Reply
from slmlab.show import html_table, text_table

COLUMN = "text-align: left; vertical-align: top; width: 50%; padding: 4px 24px 4px 4px"
HEADS = ("model", "tokens read", "tokens written", "first after", "tokens per second")


class SideBySide(Live):
    """A prompt, and each model's answer to it. `.ask(prompt)` asks again; `.replies` are the last answers."""

    def __init__(self, models: Sequence, prompt: str, names: Sequence[str] | None = None, **sampling):
        self.models, self.names = _named(models, names)
        self._sampling = {"max_tokens": 80} | sampling
        self._asking = threading.Lock()
        self.replies: list[Reply | Exception] = []
        w = ipywidgets()
        self.prompt = w.Text(value=prompt, description="prompt", layout={"width": "98%"})
        self.button = w.Button(description="Ask both", button_style="primary", tooltip="Ask every model (Enter)")
        self.answers, self.status = w.HTML(), w.HTML()
        self.button.on_click(lambda _: self._ask_in_background())
        on_enter(self.prompt, self._ask_in_background)
        self.box = w.VBox([self.prompt, self.button, self.answers, self.status])
        self.ask(prompt)

    def ask(self, prompt: str) -> None:
        """Ask every model, in turn, and show each answer as soon as it is whole."""
        with self._asking:
            self.asked, self.replies = prompt, []
            try:
                for name, model in zip(self.names, self.models, strict=True):
                    self.status.value = paragraph(f"{name} is writing …", role="status")
                    self.replies.append(_answer(model, prompt, self._sampling))
                    self.answers.value = self._html()
            finally:
                self.status.value = ""

    def _ask_in_background(self) -> None:
        if self.prompt.value.strip() and not self._asking.locked():
            threading.Thread(target=self.ask, args=(self.prompt.value,), daemon=True).start()

    def _rows(self) -> list[tuple]:
        return [(name, *_figures(reply)) for name, reply in zip(self.names, self.replies, strict=False)]

    def _html(self) -> str:
        cells = "".join(
            f'<td style="{COLUMN}"><b>{escape(name)}</b><br>'
            f'<span style="white-space: pre-wrap">{escape(_text(reply))}</span></td>'
            for name, reply in zip(self.names, self.replies, strict=False)
        )
        return f"<table><tbody><tr>{cells}</tr></tbody></table>{html_table(HEADS, self._rows())}"

    def static_text(self) -> str:
        said = [f"{name}: {_text(reply)}" for name, reply in zip(self.names, self.replies, strict=False)]
        return "\n\n".join([self.asked, *said, text_table(HEADS, self._rows())])

    def static_html(self) -> str:
        return f"<p>{escape(self.asked)}</p>{self._html()}"


def side_by_side(models: Sequence, prompt: str, names: Sequence[str] | None = None, **sampling) -> SideBySide:
    """The answers of several models to one prompt, with tokens and speed, and a box to ask them something else."""
    return SideBySide(models, prompt, names, **sampling)


def _named(models: Sequence, names: Sequence[str] | None) -> tuple[list, list[str]]:
    models = list(models)
    names = [str(one) for one in names] if names else [" ".join(filter(None, (m.name, m.precision))) for m in models]
    if len(models) < 2 or len(models) != len(names):
        raise BadRequest(f"Two models or more, and a name for each: {len(models)} models and {len(names)} names came.")
    return models, names


def _answer(model, prompt: str, sampling: dict) -> Reply | Exception:
    try:
        reply = model.ask(prompt, **sampling)
        reply.metrics  # noqa: B018 - reading it runs the answer to its end
        return reply
    except Exception as fault:  # one model that refuses leaves the others their column
        return fault


def _text(reply: Reply | Exception) -> str:
    if not isinstance(reply, Reply):
        return str(reply)
    return f"{reply.text}\n[{reply.end.fault}]" if reply.end and reply.end.fault else reply.text


def _figures(reply: Reply | Exception) -> tuple[str, ...]:
    if not isinstance(reply, Reply):
        return ("-",) * 4
    cost = reply.metrics
    count = [f"{one:,}" if one is not None else "unknown" for one in (cost.prompt_tokens, cost.new_tokens)]
    first = f"{cost.ttft_s:.2f} s" if cost.ttft_s is not None else "unknown"
    speed = f"{cost.decode_tokens_per_s:.0f}" if cost.decode_tokens_per_s else "unknown"
    return (*count, first, speed)

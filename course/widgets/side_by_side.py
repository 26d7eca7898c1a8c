"""Two models, one prompt: the answers side by side with what each cost, asked again from a box.

One after the other, never at once: on one machine they would share its cores and each would look slow.
"""

import threading
from collections.abc import Sequence
from html import escape

from course.live import Live, ipywidgets, on_enter, paragraph
from slmlab.errors import BadRequest
from slmlab.records import Reply
from slmlab.show import html_table, text_table

_COLUMN = "text-align: left; vertical-align: top; width: 50%; padding: 4px 24px 4px 4px"
_HEADS = ("model", "tokens read", "tokens written", "first after", "tokens per second")


class SideBySide(Live):
    """The answers of several models to one prompt, with tokens and speed, and a box to ask them something else.

    `.ask(prompt)` asks again; `.replies` are the last answers.
    """

    def __init__(self, models: Sequence, prompt: str, names: Sequence[str] | None = None, **sampling):
        w = ipywidgets()
        self.models = list(models)
        self.names = list(names or (" ".join(filter(None, (one.name, one.precision))) for one in models))
        if not 2 <= len(self.models) == len(self.names):
            counts = f"{len(self.models)} models and {len(self.names)} names came"
            raise BadRequest(f"Two models or more, and a name for each: {counts}.")
        self._sampling = {"max_tokens": 80} | sampling
        self._asking = threading.Lock()
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
                    self.replies.append(self._answer(model, prompt))
                    self.answers.value = self._html()
            finally:
                self.status.value = ""

    def _ask_in_background(self) -> None:
        if self.prompt.value.strip() and not self._asking.locked():
            threading.Thread(target=self.ask, args=(self.prompt.value,), daemon=True).start()

    def _answer(self, model, prompt: str) -> Reply | Exception:
        try:
            reply = model.ask(prompt, **self._sampling)
            reply.metrics  # noqa: B018 - reading it runs the answer to its end
            return reply
        except Exception as fault:  # one model that refuses leaves the others their column
            return fault

    def _named(self) -> list[tuple[str, Reply | Exception]]:
        return list(zip(self.names, self.replies, strict=False))

    def _rows(self) -> list[tuple]:
        return [(name, *_figures(reply)) for name, reply in self._named()]

    def _html(self) -> str:
        cells = "".join(
            f'<td style="{_COLUMN}"><b>{escape(name)}</b><br>'
            f'<span style="white-space: pre-wrap">{escape(_text(reply))}</span></td>'
            for name, reply in self._named()
        )
        return f"<table><tbody><tr>{cells}</tr></tbody></table>{html_table(_HEADS, self._rows())}"

    def static_text(self) -> str:
        said = [f"{name}: {_text(reply)}" for name, reply in self._named()]
        return "\n\n".join([self.asked, *said, text_table(_HEADS, self._rows())])

    def static_html(self) -> str:
        return f"<p>{escape(self.asked)}</p>{self._html()}"


def _text(reply: Reply | Exception) -> str:
    if not isinstance(reply, Reply):
        return str(reply)
    return f"{reply.text}\n[{reply.end.fault}]" if reply.end and reply.end.fault else reply.text


def _figures(reply: Reply | Exception) -> list[str]:
    if not isinstance(reply, Reply):
        return ["-"] * 4
    cost = reply.metrics
    figures = (
        ("{:,}", cost.prompt_tokens), ("{:,}", cost.new_tokens), ("{:.2f} s", cost.ttft_s),
        ("{:.0f}", cost.decode_tokens_per_s or None),
    )  # fmt: skip
    return ["unknown" if value is None else text.format(value) for text, value in figures]

"""A box to ask a model in: the answer streams into the page from a thread of its own, and can be stopped."""

import threading
import time
from contextlib import closing
from html import escape

from course.live import FULL, Live, ipywidgets
from slmlab.errors import SlmLabError

_REFRESH_S = 0.05  # a page that is redrawn for every token falls behind a fast model
_ENDED = {
    "interrupted": "Stopped. ", "length": "Cut at the length you allowed. ",
    "filtered": "Cut by the service's filter. ", "incomplete": "The connection broke. ",
}  # fmt: skip
_ANSWER = '<div style="font-size: 16px; line-height: 1.5; white-space: pre-wrap; margin: 4px 0">{}</div>'


class AskBox(Live):
    """A live box to ask the model in; `sampling` (temperature, max_tokens, ...) is used for every question."""

    def __init__(self, model, question: str = "", **sampling):
        w = ipywidgets()
        self._model, self._sampling = model, sampling
        self._thread, self._stopping = threading.Thread(), threading.Event()
        self.question = w.Text(value=question, placeholder="Ask something, then press Enter", layout=FULL)
        self.ask_button = w.Button(description="Ask", button_style="primary", tooltip="Ask the model (Enter)")
        self.stop_button = w.Button(description="Stop", disabled=True, tooltip="Stop the answer")
        self.answer = w.HTML()
        self.ask_button.on_click(lambda _: self.ask())
        self.stop_button.on_click(lambda _: self.stop())
        self.on_enter(self.question, self.ask)
        self.lay_out(self.question, w.HBox([self.ask_button, self.stop_button]), self.answer, max_width="860px")

    def ask(self) -> None:
        """Begin the answer and return at once. While one is running, nothing happens."""
        if self.running:
            return
        self._stopping.clear()
        self._set_running(True)
        self.say("The model is reading …")
        self.answer.value = ""
        self._thread = threading.Thread(target=self._stream, args=(self.question.value.strip(),), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the answer after the token at hand; what it frees is the engine's to say."""
        self._stopping.set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _set_running(self, running: bool) -> None:
        self.ask_button.disabled, self.stop_button.disabled = running, not running

    def _stream(self, question: str) -> None:
        try:
            reply = self._model.ask(question, **self._sampling)
            self._read(reply)
            said = _ENDED.get(reply.finish_reason, "") + _cost(reply.metrics)
        except SlmLabError as fault:
            said = str(fault)
        except Exception as fault:  # a thread's fault reaches nobody unless it is shown here
            said = f"The answer broke off with {type(fault).__name__}: {fault}"
        self._set_running(False)  # first: who reads that it ended may ask again
        self.say(said)

    def _read(self, reply) -> None:
        text, drawn_s = "", 0.0
        with closing(iter(reply)) as tokens:  # leaving early closes the stream here, in the thread that opened it
            for token in tokens:
                text += token.text
                self.say("")
                if time.perf_counter() - drawn_s > _REFRESH_S:
                    self.answer.value, drawn_s = _ANSWER.format(escape(text)), time.perf_counter()
                if self._stopping.is_set():
                    break
        self.answer.value = _ANSWER.format(escape(text))

    def static_text(self) -> str:
        return f"A box to ask {self._model.name} in (run the notebook to use it)"


def _cost(metrics) -> str:
    texts = ("{} tokens", "first after {:.2f} s", "{:.0f} per second")
    values = (metrics.new_tokens, metrics.ttft_s, metrics.decode_tokens_per_s or None)
    parts = [text.format(value) for text, value in zip(texts, values, strict=True) if value is not None]
    return ", ".join(parts) + "."

"""A box to ask a model in: the answer streams into the page from a thread of its own, and can be stopped."""

import threading
import time
from contextlib import closing
from html import escape

from course.live import Live, ipywidgets, on_enter, paragraph
from slmlab.errors import SlmLabError

_REFRESH_S = 0.05  # a page that is redrawn for every token falls behind a fast model
_ENDED = {
    "interrupted": "Stopped. ", "length": "Cut at the length you allowed. ",
    "filtered": "Cut by the service's filter. ", "incomplete": "The connection broke. ",
}  # fmt: skip


class AskBox(Live):
    """A live box to ask the model in; `sampling` (temperature, max_tokens, ...) is used for every question.

    `.ask()` and `.stop()` do by code what the buttons do.
    """

    def __init__(self, model, question: str = "", **sampling):
        w = ipywidgets()
        self._model, self._sampling = model, sampling
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.question = w.Text(value=question, placeholder="Ask something, then press Enter", layout={"width": "98%"})
        self.ask_button = w.Button(description="Ask", button_style="primary", tooltip="Ask the model (Enter)")
        self.stop_button = w.Button(description="Stop", disabled=True, tooltip="Stop the answer")
        self.answer, self.status = w.HTML(), w.HTML()
        self.ask_button.on_click(lambda _: self.ask())
        self.stop_button.on_click(lambda _: self.stop())
        on_enter(self.question, self.ask)
        buttons = w.HBox([self.ask_button, self.stop_button])
        self.box = w.VBox([self.question, buttons, self.answer, self.status], layout={"max_width": "860px"})

    def ask(self) -> None:
        """Begin the answer and return at once. While one is running, nothing happens."""
        if self.running:
            return
        question = self.question.value.strip()
        if not question:
            self._say("Write a question first.")
            return
        self._stopping = threading.Event()
        self._set_running(True)
        self.answer.value = ""
        self._say("The model is reading …")
        self._thread = threading.Thread(target=self._stream, args=(question, self._stopping), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the answer after the token at hand; what it frees is the engine's to say."""
        self._stopping.set()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the answer's end; for cells and tests that go on from it."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.wait(5)
        super().close()

    def _say(self, text: str) -> None:
        self.status.value = paragraph(text, role="status")

    def _set_running(self, running: bool) -> None:
        self.ask_button.disabled, self.stop_button.disabled = running, not running

    def _stream(self, question: str, stopping: threading.Event) -> None:
        try:
            said = self._read(self._model.ask(question, **self._sampling), stopping)
        except SlmLabError as fault:
            said = str(fault)
        except Exception as fault:  # a thread's fault reaches nobody unless it is shown here
            said = f"The answer broke off with {type(fault).__name__}: {fault}"
        self._say(said)
        self._set_running(False)

    def _read(self, reply, stopping: threading.Event) -> str:
        text, drawn_s = "", 0.0
        with closing(iter(reply)) as tokens:  # leaving early closes the stream here, in the thread that opened it
            for token in tokens:
                text += token.text
                self.status.value = ""
                if time.perf_counter() - drawn_s > _REFRESH_S:
                    self._show(text)
                    drawn_s = time.perf_counter()
                if stopping.is_set():
                    break
        self._show(text)
        return _ENDED.get(reply.finish_reason, "") + _cost(reply.metrics)

    def _show(self, text: str) -> None:
        style = "font-size: 16px; line-height: 1.5; white-space: pre-wrap; margin: 4px 0"
        self.answer.value = f'<div style="{style}">{escape(text)}</div>'

    def static_text(self) -> str:
        return f"A box to ask {self._model.name} in (run the notebook to use it)"


def _cost(metrics) -> str:
    parts = (
        ("{} tokens", metrics.new_tokens),
        ("first after {:.2f} s", metrics.ttft_s),
        ("{:.0f} per second", metrics.decode_tokens_per_s or None),
    )
    return ", ".join(text.format(value) for text, value in parts if value is not None) + "."

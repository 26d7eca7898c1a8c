"""A box to ask a model in: the answer streams into the page from a thread of its own, and can be stopped."""

import threading
import time
from contextlib import closing
from html import escape

from course.widgets.live import Live, ipywidgets, on_enter, paragraph
from slmlab.errors import SlmLabError

_REFRESH_S = 0.05


class AskBox(Live):
    """Question, Ask, Stop and the answer. `.ask()` and `.stop()` do by code what the buttons do."""

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
            self.status.value = paragraph("Write a question first.", role="status")
            return
        self._stopping = threading.Event()
        self._set_running(True)
        self.answer.value, self.status.value = "", paragraph("The model is reading …", role="status")
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

    def _set_running(self, running: bool) -> None:
        self.ask_button.disabled, self.stop_button.disabled = running, not running

    def _stream(self, question: str, stopping: threading.Event) -> None:
        try:
            said = self._read(self._model.ask(question, **self._sampling), stopping)
        except SlmLabError as fault:
            said = str(fault)
        except Exception as fault:  # a thread's fault reaches nobody unless it is shown here
            said = f"The answer broke off with {type(fault).__name__}: {fault}"
        self.status.value = paragraph(said, role="status")
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
        cost = reply.metrics
        counted = f"{cost.new_tokens} tokens" if cost.new_tokens is not None else ""
        parts = [counted, f"first after {cost.ttft_s:.2f} s" if cost.ttft_s is not None else ""]
        parts += [f"{cost.decode_tokens_per_s:.0f} per second" if cost.decode_tokens_per_s else ""]
        ended = {"interrupted": "Stopped. ", "length": "Cut at the length you allowed. ",
                 "filtered": "Cut by the service's filter. ", "incomplete": "The connection broke. "}  # fmt: skip
        ended = ended.get(reply.finish_reason, "")
        return ended + ", ".join(part for part in parts if part) + "."

    def _show(self, text: str) -> None:
        style = "font-size: 16px; line-height: 1.5; white-space: pre-wrap; margin: 4px 0"
        self.answer.value = f'<div style="{style}">{escape(text)}</div>'

    def static_text(self) -> str:
        return f"A box to ask {self._model.name} in (run the notebook to use it)"

    def static_html(self) -> str:
        return f"<p>{escape(self.static_text())}</p>"


def ask_box(model, question: str = "", **sampling) -> AskBox:
    """A live box to ask the model in; `sampling` (temperature, max_tokens, ...) is used for every question."""
    return AskBox(model, question, **sampling)

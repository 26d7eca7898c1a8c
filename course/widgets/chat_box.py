"""A small chat app: what you write goes to a function, and its answer joins the talk. Knows nothing about models."""

from collections.abc import Callable

from course.live import FULL, Live, ipywidgets, paragraph
from slmlab.errors import BadRequest, SlmLabError


class ChatBox(Live):
    """`answer` is any function from a text to a text; `.turns` holds who said what."""

    def __init__(self, answer: Callable[[str], str], *first: str, name: str = "Desk"):
        w = ipywidgets()
        self._answer, self.name, self.turns = answer, name, []
        self.talk = w.HTML()
        self.text = w.Text(description="You", placeholder="Write, then press Enter", layout=FULL)
        self.send_button = w.Button(description="Send", button_style="primary", tooltip="Send it (Enter)")
        self.send_button.on_click(lambda _: self.send())
        self.on_enter(self.text, self.send)
        self.lay_out(self.talk, self.text, self.send_button, max_width="860px")
        talk, *rest, status = self.box.children
        self.box.children = [talk, status, *rest]  # the newest answer ends the talk, and a screen reader says it
        for text in first:
            self.text.value = text
            self.send()

    def send(self) -> None:
        """Answer what stands in the box; a refusal is said and leaves the talk and the box as they were."""
        asked = self.text.value.strip()
        try:
            if not asked:
                raise BadRequest("Write something first.")
            self.turns += [f"You: {asked}", f"{self.name}: {self._answer(asked)}"]
        except Exception as fault:  # `answer` is a learner's own; a button's fault reaches nobody unless it is shown
            self.talk.value = paragraph("\n".join(self.turns))  # its end stood where the refusal comes
            return self.say(str(fault) if isinstance(fault, SlmLabError) else f"{type(fault).__name__}: {fault}")
        self.text.value, self.talk.value = "", paragraph("\n".join(self.turns[:-1]))
        self.say(self.turns[-1])

    def static_text(self) -> str:
        return "\n".join(["A box to chat in (run the notebook to use it)", *self.turns])

    def static_html(self) -> str:
        return paragraph(self.static_text())

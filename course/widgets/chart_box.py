"""A chart that the reader changes with sliders, and a vision model that is asked about it, beside the truth.

The truth is what the chart was drawn from, so every answer is marked at once.
"""

import re
from dataclasses import replace
from html import escape

from course.drawn.canvas import COLOURS, Style
from course.drawn.questions import ABSENT, Question, Scene, answer_of, found_of, reading_of
from course.drawn.scenes import bars
from course.live import Live, ipywidgets, paragraph, wide
from slmlab.errors import SlmLabError
from slmlab.pictures import as_picture

_CHOOSE = "a question that it was trained on"


class ChartBox(Live):
    """Change a bar chart with sliders and ask about it: what the model reads and answers, beside the truth."""

    def __init__(self, model, rows):
        w = ipywidgets()
        self._model, self._rows = model, list(rows)
        size = wide(60, 270) | {"min": 1, "max": 99, "continuous_update": False}  # an answer takes a second
        self.sliders = [w.IntSlider(value=row.value, description=row.label, **size) for row in rows]
        self.colours = [w.Dropdown(options=list(COLOURS), value=row.colour, layout={"width": "90px"}) for row in rows]
        self.printed = w.Checkbox(value=True, description="print the values", indent=False)
        first, size = f"What is the value of {rows[0].label}?", wide(90, 460)
        self.question = w.Text(value=first, description="question", continuous_update=False, **size)
        self.known = w.Dropdown(options=(_CHOOSE,), description="or choose", **size)
        self.picture = w.HTML()
        for control in (*self.sliders, *self.colours, self.printed, self.question):
            control.observe(lambda _: self.ask(), names="value")
        self.known.observe(self._take, names="value")
        lines = [w.HBox(pair) for pair in zip(self.sliders, self.colours, strict=True)]
        controls = w.VBox([*lines, self.printed, self.question, self.known])
        self.lay_out(w.HBox([self.picture, controls]))
        self.ask()

    def ask(self) -> None:
        set_to = zip(self._rows, self.sliders, self.colours, strict=True)
        rows = [replace(row, value=slider.value, colour=colour.value) for row, slider, colour in set_to]
        self.scene = bars(rows, Style(), printed=self.printed.value)
        offered = (_CHOOSE, *(question.text for question in self.scene.questions))
        if self.known.options != offered:  # setting them takes the choice back
            self.known.options = offered
        self.picture.value = _image(self.scene)
        self.say("The model is looking at this picture …")  # else the last answer would stand beside it
        try:
            self._said = self._words(self._model.ask(self.question.value, images=self.scene.pictures).text)
        except SlmLabError as fault:
            self._said = str(fault)
        self.say(self._said)

    def _take(self, change: dict) -> None:
        if change["new"] != _CHOOSE:
            self.question.value = change["new"]

    def _words(self, reply: str) -> str:
        found, said, known = found_of(reply), answer_of(reply), _question(self.scene, self.question.value)
        lines = [f"It reads: {reading_of(reply) or '(nothing)'}", f"Drawn:    {self.scene.reading}"]
        lines += [f"It finds: {found}"] if found else []
        mark = "Nobody marks this: it was not trained on such a question, or there is no single answer."
        if known:
            mark = "✓ right" if said == known.answer else f"✗ it is {known.answer}"
        return "\n".join([*lines, f"It answers: {said}", mark])

    def static_text(self) -> str:
        return f"{self.question.value}\n{self._said}\n(run the notebook to move the sliders)"

    def static_html(self) -> str:
        words = paragraph(f"{self.question.value}\n{self._said}")
        return f"<p>Run the notebook to move the sliders.</p>{_image(self.scene)}{words}"


def _question(scene: Scene, text: str) -> Question | None:
    """The question of the scene that is asked in these words or in others of its form, also of an absent bar."""
    asked = text.strip().rstrip("?.")
    forms = [f"{scene.kind}/{form}" for form in ("value", "colour")]
    absent = [Question(form, (word,), ABSENT) for word in re.findall(r"\w+", text) for form in forms]
    for question in (*scene.questions, *absent):  # an absent bar is any word of the question
        if asked.lower() in (wording.rstrip("?.").lower() for wording in question.wordings):
            return question
    return None


def _image(scene: Scene) -> str:
    url = as_picture(scene.pictures[0]).data_url
    alt = escape(f"A bar chart: {scene.reading}", quote=True)
    return f'<img src="{url}" width="256" height="256" alt="{alt}" style="border: 1px solid #bbb">'

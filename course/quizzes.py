"""A quiz as radio buttons with a Check button, a score and explanations; as text, with its answers folded away."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from course import record as progress
from course.widgets.live import Live, ipywidgets, paragraph
from slmlab.catalog import DATA
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.show import marked

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class QuizQuestion:
    """A question, its options, the place of the right one, and why it is right."""

    ask: str
    options: tuple[str, ...]
    answer: int
    why: str

    @property
    def letter(self) -> str:
        return LETTERS[self.answer]


@dataclass(frozen=True)
class Quiz:
    """The questions at the end of a lesson."""

    id: str
    lesson: str
    title: str
    questions: tuple[QuizQuestion, ...]

    def score(self, choices: Sequence[int | None]) -> int:
        """How many of the choices are right; None is a question passed over."""
        if len(choices) != len(self.questions):
            raise BadRequest(
                f"{len(choices)} choices for {len(self.questions)} questions: give None for one passed over."
            )
        return sum(choice == one.answer for choice, one in zip(choices, self.questions, strict=True))


def quizzes() -> dict[str, Quiz]:
    """Every quiz by id, in the order of the lessons."""
    return _read(DATA / "quizzes.toml")


def find_quiz(quiz_id: str) -> Quiz:
    known = quizzes()
    if quiz_id not in known:
        raise UnknownName(f"Unknown quiz {quoted(quiz_id)}. {nearest(str(quiz_id), list(known))}")
    return known[quiz_id]


@lru_cache
def _read(path: Path) -> dict[str, Quiz]:
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _quiz(name, row) for name, row in rows.items()}


def _quiz(name: str, row: dict) -> Quiz:
    asked = tuple(QuizQuestion(**one | {"options": tuple(one["options"])}) for one in row["questions"])
    return Quiz(name, row["lesson"], row["title"], asked)


# long options wrap, and are read from the back row
_STYLE = """<style>.slmlab-quiz .widget-radio-box label
{display: flex; flex-direction: row-reverse; justify-content: flex-end; align-items: flex-start;
height: auto; white-space: normal; font-size: 15px; line-height: 1.4}
.slmlab-quiz .widget-radio-box input {flex: none; margin: 3px 8px 0 0}</style>"""


class QuizBox(Live):
    """One quiz on the page. `.choose(question, option)` and `.check()` do by code what a reader does by hand."""

    def __init__(self, quiz: Quiz):
        w = ipywidgets()
        self.quiz = quiz
        self.choices = [_radio(w, number, one) for number, one in enumerate(quiz.questions, 1)]
        self.remarks = [w.HTML() for _ in quiz.questions]
        self.button = w.Button(description="Check", button_style="primary", tooltip="Check the answers")
        self.button.on_click(lambda _: self.check())
        self.result = w.HTML()
        rows = [w.HTML(f"<h4 style='margin: 0'>Quiz: {escape(quiz.title)}</h4>")]
        for number, (one, choice, remark) in enumerate(zip(quiz.questions, self.choices, self.remarks, strict=True), 1):
            ask = f'<div style="font-size: 16px; margin-top: 8px"><b>{number}. {marked(one.ask)}</b></div>'
            rows += [w.HTML(ask), choice, remark]
        rows.insert(0, w.HTML(_STYLE, layout={"display": "none"}))
        self.box = w.VBox([*rows, self.button, self.result], layout={"max_width": "860px"})
        self.box.add_class("slmlab-quiz")

    def choose(self, question: int, option: int) -> None:
        self.choices[question].index = option

    def check(self) -> int:
        """Score the choices, explain each one, keep the best score. Returns how many are right."""
        chosen = [choice.index for choice in self.choices]
        for one, remark, index in zip(self.quiz.questions, self.remarks, chosen, strict=True):
            remark.value = paragraph(_remark(one, index))
        right, of = self.quiz.score(chosen), len(chosen)
        note = progress.note_quiz(self.quiz.id, right, of)
        best = progress.read()[0]["quizzes"].get(self.quiz.id, {}).get("best", right)
        said = f"Score: {right} of {of}. Best so far: {best} of {of}. {note}"
        self.result.value = paragraph(said.strip(), role="status")
        return right

    def static_text(self) -> str:
        lines = [f"Quiz: {self.quiz.title} (run the notebook to answer it here)"]
        for number, one in enumerate(self.quiz.questions, 1):
            lines += ["", f"{number}. {one.ask}"]
            lines += [f"   {letter}. {option}" for letter, option in zip(LETTERS, one.options, strict=False)]
        answers = " · ".join(f"{number} {one.letter}" for number, one in enumerate(self.quiz.questions, 1))
        return "\n".join([*lines, "", f"Answers: {answers}"])

    def static_html(self) -> str:
        asked, answers = "", ""
        for one in self.quiz.questions:
            options = "".join(f"<li>{marked(option)}</li>" for option in one.options)
            asked += f'<li><b>{marked(one.ask)}</b><ol type="A">{options}</ol></li>'
            answers += f"<li><b>{one.letter}. {marked(one.options[one.answer])}</b><br>{marked(one.why)}</li>"
        folded = f"<details><summary>Answers</summary><ol>{answers}</ol></details>"
        title = f"<p><b>Quiz: {escape(self.quiz.title)}</b> (run the notebook to answer it here)</p>"
        return f"{title}<ol>{asked}</ol>{folded}"


def quiz(quiz_id: str) -> QuizBox:
    """The quiz of a lesson, such as quiz('start')."""
    return QuizBox(find_quiz(quiz_id))


def _radio(w, number: int, one: QuizQuestion):
    options = [
        (f"{letter}. {option.replace('`', '')}", index)
        for index, (letter, option) in enumerate(zip(LETTERS, one.options, strict=False))
    ]
    return w.RadioButtons(
        options=options, index=None, layout={"width": "auto"}, tooltip=f"Question {number}: {one.ask.replace('`', '')}"
    )


def _remark(one: QuizQuestion, chosen: int | None) -> str:
    if chosen is None:
        return "○ Not answered yet."
    return f"✓ {one.why}" if chosen == one.answer else f"○ {LETTERS[chosen]} isn't it: {one.letter} is. {one.why}"

"""A quiz as radio buttons with a Check button, a score and explanations; as text, with its answers folded away."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from course import record
from course.live import BAD, GOOD, OPEN, Live, ipywidgets, marked, striped
from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class QuizQuestion:
    """A question, its options, the places of the right ones, and why they are right and a tempting one isn't."""

    ask: str
    options: Sequence[str]
    answer: Sequence[int]
    why: str

    @property
    def asked(self) -> str:
        return self.ask if len(self.answer) == 1 else f"{self.ask} Choose all that are right."

    @property
    def letters(self) -> str:
        return " and ".join(LETTERS[place] for place in self.answer)

    def remark(self, chosen: Sequence[int]) -> str:
        """What is said of a choice, as HTML."""
        if not chosen:
            return striped("Not answered yet", "", OPEN)
        if list(chosen) == list(self.answer):
            return striped("✓ Right.", self.why, GOOD)
        are = "is" if len(self.answer) == 1 else "are"
        return striped("Not right.", f"{self.letters} {are} right. {self.why}", BAD)


@dataclass(frozen=True)
class Quiz:
    """The questions at the end of a lesson."""

    id: str
    lesson: str
    title: str
    questions: tuple[QuizQuestion, ...]


@cache
def quizzes() -> dict[str, Quiz]:
    """Every quiz by id, in the order of the lessons."""
    rows = tomllib.loads((DATA / "quizzes.toml").read_text(encoding="utf-8"))
    return {
        name: Quiz(name, row["lesson"], row["title"], tuple(QuizQuestion(**one) for one in row["questions"]))
        for name, row in rows.items()
    }


class QuizBox(Live):
    """One quiz on the page. `.choices` and `.check()` do by code what a reader does by hand."""

    def __init__(self, quiz: Quiz):
        w = ipywidgets()
        self.quiz, self.choices, self.remarks = quiz, [], []
        title = f"<h4 style='margin: 0'>Quiz: {escape(quiz.title)}</h4>"
        rows = [w.HTML(title)]
        for number, one in enumerate(quiz.questions, 1):
            ask = f'<div class="slmlab-asked" style="font-size: 16px; margin-top: 8px"><b>{number}. '
            self.choices.append(_options(w, one))
            self.remarks.append(w.HTML())
            rows += [w.HTML(f"{ask}{marked(one.asked)}</b></div>"), self.choices[-1], self.remarks[-1]]
        self.button = w.Button(description="Check", button_style="primary", tooltip="Check the answers")
        self.button.on_click(lambda _: self.check())
        self.lay_out(*rows, self.button, questions=len(quiz.questions), max_width="860px")
        self.status.add_class("slmlab-end")
        self.box.add_class("slmlab-quiz")

    def check(self) -> int:
        """Score the choices, explain each one, keep the best score. Returns how many are right."""
        right, of = 0, len(self.choices)
        for one, control, remark in zip(self.quiz.questions, self.choices, self.remarks, strict=True):
            remark.value = one.remark(_chosen(control))
            right += _chosen(control) == list(one.answer)
        note = record.note_quiz(self.quiz.id, right, of)
        best = record.read()[0]["quizzes"].get(self.quiz.id, {}).get("best", right)
        self.say(f"Score: {right} of {of}. Best so far: {best} of {of}. {note}".strip())
        return right

    def static_text(self) -> str:
        lines = [f"Quiz: {self.quiz.title} (run the notebook to answer it here)"]
        for number, one in enumerate(self.quiz.questions, 1):
            lines += ["", f"{number}. {one.asked}"]
            lines += [f"   {letter}. {option}" for letter, option in zip(LETTERS, one.options, strict=False)]
        answers = " · ".join(f"{number} {one.letters}" for number, one in enumerate(self.quiz.questions, 1))
        return "\n".join([*lines, "", f"Answers: {answers}"])

    def static_html(self) -> str:
        asked, answers = "", ""
        for one in self.quiz.questions:
            options = "".join(f"<li>{marked(option)}</li>" for option in one.options)
            asked += f'<li><b>{marked(one.asked)}</b><ol type="A">{options}</ol></li>'
            right = "<br>".join(f"<b>{LETTERS[at]}. {marked(one.options[at])}</b>" for at in one.answer)
            answers += f"<li>{right}<br>{marked(one.why)}</li>"
        folded = f"<details><summary>Answers</summary><ol>{answers}</ol></details>"
        title = f"<p><b>Quiz: {escape(self.quiz.title)}</b> (run the notebook to answer it here)</p>"
        return f"{title}<ol>{asked}</ol>{folded}"


def _options(w, one: QuizQuestion):
    """Radio buttons, or boxes to tick where several options are right."""
    plain = [f"{letter}. {text.replace('`', '')}" for letter, text in zip(LETTERS, one.options, strict=False)]
    if len(one.answer) == 1:
        control = w.RadioButtons(options=[(text, at) for at, text in enumerate(plain)], layout={"width": "auto"})
        control.index = None
    else:
        control = w.VBox([w.Checkbox(description=text, indent=False) for text in plain])
    control.add_class("slmlab-options")
    return control


def _chosen(control) -> list[int]:
    if hasattr(control, "children"):
        return [at for at, box in enumerate(control.children) if box.value]
    return [] if control.index is None else [control.index]


def quiz(quiz_id: str) -> QuizBox:
    """The quiz of a lesson, such as quiz('start')."""
    known = quizzes()
    if quiz_id not in known:
        raise UnknownName(f"Unknown quiz {quoted(quiz_id)}. {nearest(str(quiz_id), list(known))}")
    return QuizBox(known[quiz_id])

"""A quiz as radio buttons with a Check button, a score and explanations; as text, with its answers folded away."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from course import record
from course.live import Live, ipywidgets, marked, paragraph
from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class QuizQuestion:
    """A question, its options, the place of the right one, and why it is right."""

    ask: str
    options: Sequence[str]
    answer: int
    why: str

    def remark(self, chosen: int | None) -> str:
        """What is said of a choice; None is no choice yet."""
        if chosen is None:
            return "○ Not answered yet."
        if chosen == self.answer:
            return f"✓ {self.why}"
        return f"○ {LETTERS[chosen]} isn't it: {LETTERS[self.answer]} is. {self.why}"


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


# long options wrap, and are read from the back row
_STYLE = """<style>.slmlab-quiz .widget-radio-box label
{display: flex; flex-direction: row-reverse; justify-content: flex-end; align-items: flex-start;
height: auto; white-space: normal; font-size: 15px; line-height: 1.4}
.slmlab-quiz .widget-radio-box input {flex: none; margin: 3px 8px 0 0}</style>"""


class QuizBox(Live):
    """One quiz on the page. `.choices` and `.check()` do by code what a reader does by hand."""

    def __init__(self, quiz: Quiz):
        w = ipywidgets()
        self.quiz, self.choices, self.remarks = quiz, [], []
        title = f"<h4 style='margin: 0'>Quiz: {escape(quiz.title)}</h4>"
        rows = [w.HTML(_STYLE, layout={"display": "none"}), w.HTML(title)]
        for number, one in enumerate(quiz.questions, 1):
            ask = f'<div style="font-size: 16px; margin-top: 8px"><b>{number}. {marked(one.ask)}</b></div>'
            told, *plain = [text.replace("`", "") for text in (one.ask, *one.options)]  # a radio button shows no code
            look = {"layout": {"width": "auto"}, "tooltip": f"Question {number}: {told}"}
            options = [(f"{LETTERS[index]}. {option}", index) for index, option in enumerate(plain)]
            self.choices.append(w.RadioButtons(options=options, index=None, **look))
            self.remarks.append(w.HTML())
            rows += [w.HTML(ask), self.choices[-1], self.remarks[-1]]
        self.button = w.Button(description="Check", button_style="primary", tooltip="Check the answers")
        self.button.on_click(lambda _: self.check())
        self.lay_out(*rows, self.button, max_width="860px")
        self.box.add_class("slmlab-quiz")

    def check(self) -> int:
        """Score the choices, explain each one, keep the best score. Returns how many are right."""
        right, of = 0, len(self.choices)
        for one, choice, remark in zip(self.quiz.questions, self.choices, self.remarks, strict=True):
            remark.value = paragraph(one.remark(choice.index))
            right += choice.index == one.answer
        note = record.note_quiz(self.quiz.id, right, of)
        best = record.read()[0]["quizzes"].get(self.quiz.id, {}).get("best", right)
        self.say(f"Score: {right} of {of}. Best so far: {best} of {of}. {note}".strip())
        return right

    def static_text(self) -> str:
        lines = [f"Quiz: {self.quiz.title} (run the notebook to answer it here)"]
        for number, one in enumerate(self.quiz.questions, 1):
            lines += ["", f"{number}. {one.ask}"]
            lines += [f"   {letter}. {option}" for letter, option in zip(LETTERS, one.options, strict=False)]
        answers = " · ".join(f"{number} {LETTERS[one.answer]}" for number, one in enumerate(self.quiz.questions, 1))
        return "\n".join([*lines, "", f"Answers: {answers}"])

    def static_html(self) -> str:
        asked, answers = "", ""
        for one in self.quiz.questions:
            options = "".join(f"<li>{marked(option)}</li>" for option in one.options)
            asked += f'<li><b>{marked(one.ask)}</b><ol type="A">{options}</ol></li>'
            answers += f"<li><b>{LETTERS[one.answer]}. {marked(one.options[one.answer])}</b><br>{marked(one.why)}</li>"
        folded = f"<details><summary>Answers</summary><ol>{answers}</ol></details>"
        title = f"<p><b>Quiz: {escape(self.quiz.title)}</b> (run the notebook to answer it here)</p>"
        return f"{title}<ol>{asked}</ol>{folded}"


def quiz(quiz_id: str) -> QuizBox:
    """The quiz of a lesson, such as quiz('start')."""
    known = quizzes()
    if quiz_id not in known:
        raise UnknownName(f"Unknown quiz {quoted(quiz_id)}. {nearest(str(quiz_id), list(known))}")
    return QuizBox(known[quiz_id])

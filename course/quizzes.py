"""A quiz as radio buttons with a Check button, a score and explanations; as text, with its answers folded away."""

from dataclasses import dataclass
from functools import lru_cache
from html import escape

from course import record
from course.live import Live, ipywidgets, paragraph
from slmlab.errors import UnknownName, nearest, quoted
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

    def remark(self, chosen: int | None) -> str:
        """What is said of a choice; None is no choice yet."""
        if chosen is None:
            return "○ Not answered yet."
        if chosen == self.answer:
            return f"✓ {self.why}"
        return f"○ {LETTERS[chosen]} isn't it: {self.letter} is. {self.why}"


@dataclass(frozen=True)
class Quiz:
    """The questions at the end of a lesson."""

    id: str
    lesson: str
    title: str
    questions: tuple[QuizQuestion, ...]


@lru_cache
def quizzes() -> dict[str, Quiz]:
    """Every quiz by id, in the order of the lessons."""
    import tomllib

    from slmlab.catalog import DATA

    rows = tomllib.loads((DATA / "quizzes.toml").read_text(encoding="utf-8"))
    return {name: _quiz(name, **row) for name, row in rows.items()}


def _quiz(name: str, lesson: str, title: str, questions: list[dict]) -> Quiz:
    asked = (QuizQuestion(**one | {"options": tuple(one["options"])}) for one in questions)
    return Quiz(name, lesson, title, tuple(asked))


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
        style, title = w.HTML(_STYLE, layout={"display": "none"}), f"Quiz: {escape(quiz.title)}"
        rows = [style, w.HTML(f"<h4 style='margin: 0'>{title}</h4>")]
        for number, (one, choice, remark) in enumerate(zip(quiz.questions, self.choices, self.remarks, strict=True), 1):
            ask = f'<div style="font-size: 16px; margin-top: 8px"><b>{number}. {marked(one.ask)}</b></div>'
            rows += [w.HTML(ask), choice, remark]
        self.box = w.VBox([*rows, self.button, self.result], layout={"max_width": "860px"})
        self.box.add_class("slmlab-quiz")

    def choose(self, question: int, option: int | None) -> None:
        self.choices[question].index = option

    def check(self) -> int:
        """Score the choices, explain each one, keep the best score. Returns how many are right."""
        right, of = 0, len(self.choices)
        for one, choice, remark in zip(self.quiz.questions, self.choices, self.remarks, strict=True):
            remark.value = paragraph(one.remark(choice.index))
            right += choice.index == one.answer
        note = record.note_quiz(self.quiz.id, right, of)
        best = record.read()[0]["quizzes"].get(self.quiz.id, {}).get("best", right)
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
    known = quizzes()
    if quiz_id not in known:
        raise UnknownName(f"Unknown quiz {quoted(quiz_id)}. {nearest(str(quiz_id), list(known))}")
    return QuizBox(known[quiz_id])


def _radio(w, number: int, one: QuizQuestion):
    plain = [option.replace("`", "") for option in (one.ask, *one.options)]  # a radio button shows no code
    options = [(f"{LETTERS[index]}. {option}", index) for index, option in enumerate(plain[1:])]
    return w.RadioButtons(
        options=options, index=None, layout={"width": "auto"}, tooltip=f"Question {number}: {plain[0]}"
    )

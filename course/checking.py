"""check(): a verdict on an exercise, with hints one at a time. progress(): what is done. Nothing leaves this machine.

Shows and keeps; which answer is right is said by the exercises.
"""

from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from course import record
from course.answers import judge
from course.exercises.registry import Exercise, exercises, find
from course.live import BAD, GOOD, Live, ipywidgets, paragraph, striped
from course.quizzes import quizzes
from slmlab.show import Table

_WORDS = {True: ("✓ Right:", GOOD), False: ("Not yet:", BAD)}


@dataclass(eq=False, repr=False)
class Verdict(Live):
    """What a check says, with buttons for hints and the solution where a kernel runs."""

    exercise: Exercise
    passed: bool
    message: str = ""
    hints: tuple[str, ...] = ()
    solution: str = ""
    note: str = ""

    def __bool__(self):
        return self.passed

    def static_text(self) -> str:
        lines = f"{_WORDS[self.passed][0]} {self.message}", *self._told(), self.solution, self.note
        return "\n".join(filter(None, lines))

    def static_html(self) -> str:
        return self._head() + self._details()

    def show_hint(self) -> None:
        """The next one under those that are shown; the last one stays."""
        self.hints = self.exercise.hints[: len(self.hints) + 1]
        self._refresh()

    def show_one_way(self) -> None:
        self.solution = self.exercise.solution
        self._refresh()

    def _repr_mimebundle_(self, include=None, exclude=None):
        if not hasattr(self, "box"):  # made only when it is shown, for ipywidgets take their time
            w = ipywidgets()
            self.hint_button, self.way_button = w.Button(), w.Button(description="Show one way")
            self.hint_button.on_click(lambda _: self.show_hint())
            self.way_button.on_click(lambda _: self.show_one_way())
            self.lay_out(w.HTML(self._head()), w.HBox([self.hint_button, self.way_button]), max_width="860px")
            self._refresh()
        return super()._repr_mimebundle_(include=include, exclude=exclude)

    def _refresh(self) -> None:
        left = len(self.hints) < len(self.exercise.hints)
        another = "Show another hint" if left else "That is the last"  # not disabled: that would lose the keyboard
        self.hint_button.description = another if self.hints else "Show a hint"
        self.hint_button.layout.display = "none" if self.passed or self.solution else None
        self.status.value = f'<div role="status">{self._details()}</div>'

    def _head(self) -> str:
        word, colour = _WORDS[self.passed]
        return striped(word, self.message, colour)

    def _details(self) -> str:
        way = f"<pre><code>{escape(self.solution)}</code></pre>" if self.solution else ""
        return "".join(map(paragraph, self._told())) + way + paragraph(self.note)

    def _told(self) -> list[str]:
        count = len(self.exercise.hints)
        return [f"Hint {number} of {count}: {hint}" for number, hint in enumerate(self.hints, 1)]


def check(exercise_id: str, answer: object = None) -> Verdict:
    """The verdict on an answer, shown when it is the last line of a cell. One that isn't right yet hears what is
    missing."""
    found = find(exercise_id)
    missing = judge(found.answer.verdict, answer, found.answer.limit_s)
    if missing is None:
        return Verdict(found, True, found.right, note=record.note_exercise(found.id))
    return Verdict(found, False, missing + ("" if missing.endswith("?") else "."))


class Standing(NamedTuple):
    """How far a record is in one lesson; `best` is None before the first try of its quiz."""

    lesson: str
    title: str
    done: int
    exercises: int
    best: int | None
    questions: int

    @property
    def finished(self) -> bool:
        """Every exercise right, and two of three quiz answers."""
        return self.done == self.exercises and 3 * (self.best or 0) >= 2 * self.questions


def standings(kept: dict) -> list[Standing]:
    """A record, lesson by lesson. What it has of an older course doesn't count."""
    found = []
    for quiz in quizzes().values():  # a lesson has one
        done = [one.id in kept["exercises"] for one in exercises().values() if one.lesson == quiz.lesson]
        best, asked = kept["quizzes"].get(quiz.id, {}).get("best"), len(quiz.questions)
        best = None if best is None else min(int(best), asked)
        found.append(Standing(quiz.lesson, quiz.title, sum(done), len(done), best, asked))
    return found


def progress() -> Table:
    """Exercises done and best quiz scores (–: no try yet), lesson by lesson, and how many guesses surprised."""
    kept, note = record.read()
    lessons = []
    for one in standings(kept):
        best = "–" if one.best is None else one.best
        lessons.append((one.lesson, f"{one.done} of {one.exercises}", f"{best} of {one.questions}"))
    outcomes = [one["right"] for one in kept["guesses"].values() if "right" in one]
    told = f"{outcomes.count(False)} of {len(outcomes)} guesses surprised you." if outcomes else ""
    return Table(("lesson", "exercises", "quiz, best"), lessons, note=f"{told} {note}".strip())


def register(commands) -> None:
    """Add `progress` to the commands of `python -m slmlab`."""
    parser = commands.add_parser("progress", help="exercises and quizzes done on this machine")
    parser.add_argument("action", nargs="?", choices=("show", "reset"), default="show")
    parser.set_defaults(run=_run)


def _run(parsed) -> None:
    if parsed.action == "reset":
        print(record.update(lambda kept: kept.update(exercises={}, quizzes={}, guesses={})) or "Progress is cleared.")
    else:
        print(progress())

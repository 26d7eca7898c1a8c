"""check(): a verdict on an exercise, with hints one at a time. progress(): what is done. Nothing leaves this machine.

Shows and keeps; which answer is right is said by the exercises.
"""

from dataclasses import dataclass

from course import record
from course.answers import judge
from course.exercises.registry import Exercise, exercises, find
from course.quizzes import quizzes
from slmlab.errors import in_range
from slmlab.show import Shown, Table


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says. `passed` is None when only hints or the solution were asked for."""

    exercise: Exercise
    passed: bool | None
    message: str = ""
    hints: tuple[str, ...] = ()
    solution: str = ""
    note: str = ""

    def __bool__(self):
        return bool(self.passed)

    def __repr__(self):
        return "\n".join(text for _, text in self._parts())

    def _repr_markdown_(self):
        style = {"solution": "```python\n{}\n```", "hint": "*{}*", "more": "*{}*", "note": "*{}*"}
        return "\n\n".join(style.get(kind, "{}").format(text) for kind, text in self._parts())

    def _parts(self) -> list[tuple[str, str]]:
        sign = {True: "✓ Right — ", False: "○ Not yet — ", None: ""}[self.passed]
        count, call = len(self.exercise.hints), f'check("{self.exercise.id}"'
        parts = [("message", sign + self.message)]
        parts += [("hint", f"Hint {number} of {count}: {hint}") for number, hint in enumerate(self.hints, 1)]
        if 0 < len(self.hints) < count:
            parts[-1] = ("hint", f"{parts[-1][1]} (`{call}, hint={len(self.hints) + 1})` for more)")
        elif self.passed or self.hints:
            parts.append(("more", f"One way to write it: `{call}, solution=True)`"))
        parts += [("solution", self.solution), ("note", self.note)]
        return [(kind, text) for kind, text in parts if text]


def check(exercise_id: str, answer: object = None, *, hint: int = 0, solution: bool = False) -> Verdict:
    """The verdict on an answer, shown when it is the last line of a cell.

    An answer that isn't right yet comes with the first hint; `hint=2` or `hint=3` shows more, with or without an
    answer, and `solution=True` shows one way to write it.
    """
    found = find(exercise_id)
    in_range("hint", hint, 0, 10**6, f"1 to {len(found.hints)}")
    if solution:
        return Verdict(found, None, f"{found.title}, one way to write it:", solution=found.solution)
    if answer is None and hint:
        return Verdict(found, None, found.task, hints=found.hints[:hint])
    missing = judge(found.answer.verdict, answer)
    if missing is None:
        return Verdict(found, True, found.right, note=record.note_exercise(found.id))
    stop = "" if missing.endswith("?") else "."
    return Verdict(found, False, missing + stop, hints=found.hints[: max(1, hint)])


@dataclass(frozen=True, repr=False)
class Progress(Shown):
    """For each lesson, exercises done of all and the best quiz score of as many questions (–: no try yet)."""

    lessons: tuple[tuple[str, str, str], ...]
    note: str = ""

    def _table(self) -> Table:
        return Table(("lesson", "exercises", "quiz, best"), self.lessons, note=self.note)


def progress() -> Progress:
    """Exercises done and best quiz scores, lesson by lesson, and how many guesses surprised, from the local file."""
    kept, note = record.read()
    lessons = []
    for quiz in quizzes().values():  # a lesson has one
        done = [one.id in kept["exercises"] for one in exercises().values() if one.lesson == quiz.lesson]
        best = kept["quizzes"].get(quiz.id, {}).get("best", "–")
        lessons.append((quiz.lesson, f"{sum(done)} of {len(done)}", f"{best} of {len(quiz.questions)}"))
    outcomes = [one["right"] for one in kept.get("guesses", {}).values() if "right" in one]
    told = f"{outcomes.count(False)} of {len(outcomes)} guesses surprised you." if outcomes else ""
    return Progress(tuple(lessons), f"{told} {note}".strip())


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

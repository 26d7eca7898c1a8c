"""check(): a verdict on an exercise, with hints one at a time. progress(): what is done. Nothing leaves this machine.

Shows and keeps; which answer is right is said by the verdict functions.
"""

from dataclasses import dataclass

from course import record
from course.answers import judge
from course.exercises import decoding, endpoints, experts, measures, pictures, runtimes  # noqa: F401 - they register
from course.exercises.registry import VERDICTS, Exercise, exercises, find
from course.quizzes import quizzes
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.show import html_table, text_table


@dataclass(frozen=True)
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

    def __str__(self):
        return "\n".join(text for _, text in self._parts())

    __repr__ = __str__

    def _repr_markdown_(self):
        style = {"solution": "```python\n{}\n```", "hint": "*{}*", "more": "*{}*", "note": "*{}*"}
        return "\n\n".join(style.get(kind, "{}").format(text) for kind, text in self._parts())

    def _parts(self) -> list[tuple[str, str]]:
        sign = {True: "✓ Right", False: "○ Not yet", None: ""}[self.passed]
        count, name = len(self.exercise.hints), f'check("{self.exercise.id}"'
        parts = [("message", " — ".join(part for part in (sign, self.message) if part))]
        parts += [("hint", f"Hint {number} of {count}: {hint}") for number, hint in enumerate(self.hints, 1)]
        if 0 < len(self.hints) < count:
            parts[-1] = ("hint", f"{parts[-1][1]} (`{name}, hint={len(self.hints) + 1})` for more)")
        elif self.passed or self.hints:
            parts.append(("more", f"One way to write it: `{name}, solution=True)`"))
        parts += [("solution", self.solution), ("note", self.note)]
        return [(kind, text) for kind, text in parts if text]


def check(exercise_id: str, answer: object = None, *, hint: int = 0, solution: bool = False) -> Verdict:
    """The verdict on an answer, shown when it is the last line of a cell.

    An answer that isn't right yet comes with the first hint; `hint=2` or `hint=3` shows more, with or without an
    answer, and `solution=True` shows one way to write it.
    """
    found = find(exercise_id)
    if isinstance(hint, bool) or not isinstance(hint, int) or hint < 0:
        raise BadRequest(f"hint={hint!r} is out of range: 1 to {len(found.hints)}.")
    if solution:
        return Verdict(found, None, f"{found.title}, one way to write it:", solution=found.solution.strip())
    if answer is None and hint:
        return Verdict(found, None, found.task, hints=found.hints[:hint])
    missing = judge(VERDICTS[found.id], answer)
    if missing is not None:
        return Verdict(
            found, False, missing if missing.endswith("?") else f"{missing}.", hints=found.hints[: max(1, hint)]
        )
    return Verdict(found, True, found.right, note=record.note_exercise(found.id))


@dataclass(frozen=True)
class LessonProgress:
    """One lesson's line: exercises done of all, and the best quiz score of as many questions (None: no try yet)."""

    lesson: str
    done: int
    exercises: int
    quiz_best: int | None
    quiz_questions: int

    @property
    def quiz(self) -> str:
        if not self.quiz_questions:
            return ""
        return f"{'–' if self.quiz_best is None else self.quiz_best} of {self.quiz_questions}"


@dataclass(frozen=True)
class Progress:
    """Lesson by lesson, what is done."""

    lessons: tuple[LessonProgress, ...]
    note: str = ""

    _HEADS = ("lesson", "exercises", "quiz, best")

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(one.lesson, f"{one.done} of {one.exercises}", one.quiz) for one in self.lessons]

    def __str__(self):
        return "\n".join(part for part in (text_table(self._HEADS, self._rows()), self.note) if part)

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._HEADS, self._rows(), note=self.note)


def progress() -> Progress:
    """Exercises done and best quiz scores, lesson by lesson, from the local file."""
    kept, note = record.read()
    return Progress(tuple(_line(lesson, kept) for lesson in _lessons()), note)


def _lessons() -> list[str]:
    named = [one.lesson for one in exercises().values()] + [one.lesson for one in quizzes().values()]
    return sorted(set(named))


def _line(lesson: str, kept: dict) -> LessonProgress:
    ids = [one.id for one in exercises().values() if one.lesson == lesson]
    asked = [one for one in quizzes().values() if one.lesson == lesson]
    tried = [kept["quizzes"][one.id]["best"] for one in asked if one.id in kept["quizzes"]]
    done, questions = sum(id in kept["exercises"] for id in ids), sum(len(one.questions) for one in asked)
    return LessonProgress(lesson, done, len(ids), sum(tried) if tried else None, questions)


def reset_progress(lesson: str | None = None) -> Progress:
    """Forget what was done in one lesson, or in all of them."""
    if lesson is not None and lesson not in _lessons():
        raise UnknownName(f"Unknown lesson {quoted(lesson)}. {nearest(str(lesson), _lessons())}")

    def forget(kept: dict) -> None:
        for part, known in (("exercises", exercises()), ("quizzes", quizzes())):
            gone = [id for id in kept[part] if lesson is None or id in known and known[id].lesson == lesson]
            for id in gone:
                del kept[part][id]

    note = record.update(forget)
    after = progress()
    return Progress(after.lessons, note or after.note)


def register(commands) -> None:
    """Add `progress` to the commands of `python -m slmlab`."""
    parser = commands.add_parser("progress", help="exercises and quizzes done on this machine")
    parser.add_argument("action", nargs="?", choices=("show", "reset"), default="show")
    parser.set_defaults(run=_run)


def _run(parsed) -> None:
    if parsed.action == "reset":
        reset_progress()
        print("Progress is cleared.")
    else:
        print(progress())

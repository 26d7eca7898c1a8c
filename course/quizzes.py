"""The quizzes: their questions from data/quizzes.toml, and the score of a set of choices.

Knows nothing about widgets or progress.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from slmlab.catalog import DATA
from slmlab.errors import BadRequest, UnknownName, nearest, quoted

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

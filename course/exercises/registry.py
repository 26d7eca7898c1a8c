"""The exercises: their texts from data/exercises.toml, and for each a function that says what an answer still lacks.

A verdict function takes the learner's answer and returns None when it is right, else a sentence without its full stop.
Knows nothing about hints, progress or how a verdict is shown.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted


@dataclass(frozen=True)
class Exercise:
    """One exercise: the starter runs and is not right, the solution is right; `right` is said to who gets there."""

    id: str
    lesson: str
    title: str
    task: str
    hints: tuple[str, ...]
    starter: str
    solution: str
    right: str


VERDICTS: dict[str, Callable[[object], str | None]] = {}


def exercise(exercise_id: str):
    """Register the function below as the one that judges this exercise."""

    def register(verdict):
        VERDICTS[exercise_id] = verdict
        return verdict

    return register


def exercises() -> dict[str, Exercise]:
    """Every exercise by id, in the order of the lessons."""
    return _read(DATA / "exercises.toml")


def find(exercise_id: str) -> Exercise:
    known = exercises()
    if exercise_id not in known:
        raise UnknownName(f"Unknown exercise {quoted(exercise_id)}. {nearest(str(exercise_id), list(known))}")
    return known[exercise_id]


@lru_cache
def _read(path: Path) -> dict[str, Exercise]:
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: Exercise(id=name, **row | {"hints": tuple(row["hints"])}) for name, row in rows.items()}

"""What an exercise is: its texts from data/exercises.toml; its solution, cases and mistakes from a file of this folder.

An answer is tried on the cases and compared with the solution; a wrong value that a known mistake gives as well gets
the words of that mistake. Knows nothing about hints, progress or how a verdict is shown.
"""

import inspect
import tomllib
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from course.answers import NotYet, function_in, near, number_from, shown
from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted

# where exercises stand whose file has another name than their id: it is read when one of them is checked
_FILES = {"inside": "sizes", "size": "sizes", "bias": "sizes", "github": "clouds", "nim": "clouds", "foundry": "clouds"}
_IMPORTS = ("import json", "import math", "import random", "import numpy as np")
_SOLUTIONS: dict[str, "Solution"] = {}


@dataclass(frozen=True)
class Exercise:
    """The texts of one exercise; `right` is said to who gets there. `source` is the solution of one that asks for no
    function."""

    id: str
    lesson: str
    title: str
    hints: tuple[str, ...]
    starter: str
    right: str
    source: str = ""

    @property
    def answer(self) -> "Solution":
        """What its lesson's file says of it."""
        subject = self.id.rpartition("-")[0]
        import_module(f"course.exercises.{_FILES.get(subject, subject)}")
        return _SOLUTIONS[self.id]

    @property
    def solution(self) -> str:
        """A cell that passes: the functions as they are written, without what decorates them."""
        texts = [self.source] if self.source else map(inspect.getsource, self.answer.functions)
        sources = [text[text.startswith("@") and text.index("\ndef ") + 1 :].rstrip() for text in texts]
        imports = [line for line in _IMPORTS if any(f"{line.split()[-1]}." in source for source in sources)]
        return "\n\n".join(["\n".join(imports), *sources, self.starter.strip().splitlines()[-1]]).strip()


@cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by id, in the order of the lessons."""
    rows = tomllib.loads((DATA / "exercises.toml").read_text(encoding="utf-8"))
    return {name: Exercise(id=name, **row | {"hints": tuple(row["hints"])}) for name, row in rows.items()}


def find(exercise_id: str) -> Exercise:
    known = exercises()
    if exercise_id not in known:
        raise UnknownName(f"Unknown exercise {quoted(exercise_id)}. {nearest(str(exercise_id), list(known))}")
    return known[exercise_id]


class Solution:
    """A right answer, the cases that tell others from it, and the likely mistakes. It can be called like its function.

    A case is the arguments, and after them a text for the messages, `why`, if they need one. `told` says what came
    out; ": " and the words of a mistake that gives the same follow, or `otherwise`. In all three, {value}, {right},
    {shown} (the value in backticks), {why} and the arguments' names are filled in. `reads` makes what came out fit to
    be compared. The solution is the function and those in `also`.
    """

    def __init__(self, function=None, *, also=(), cases=(), told="", otherwise=", and {right:g} is right",
                 mistakes=(), reads=number_from, limit_s=None):  # fmt: skip
        self.functions, self.cases, self.reads = [function, *also], cases, reads
        self.limit_s = limit_s  # longer where a model is asked
        self.told, self.otherwise, self.mistakes, self.verdict = told, otherwise, mistakes, self.compare
        self.names = [*inspect.signature(function).parameters] if function else []

    def __call__(self, *arguments):
        return self.functions[0](*arguments)

    def judged(self, verdict: Callable) -> None:
        """Decorates a verdict of the exercise's own: a function of the answer that raises NotYet until it is right."""
        self.verdict = verdict

    def compare(self, answer: object) -> None:
        """Raises what the first case that comes out wrong says."""
        function = function_in(answer, self.functions[0].__name__)
        for case in self.cases:
            arguments = case[: len(self.names)]
            value, right = self.reads(function(*map(_own, arguments))), self.reads(self(*arguments))
            if not near(value, right):
                known = (words for words, wrong in self.mistakes if near(value, self.reads(wrong(*arguments))))
                words = next((f": {words}" for words in known), self.otherwise)
                fields = dict(zip([*self.names, "why"], case, strict=False))
                raise NotYet((self.told + words).format(**fields, value=value, right=right, shown=shown(value)))


def _own(argument: object) -> object:
    """One that an answer may change, and the case stays as it is."""
    try:
        return deepcopy(argument)
    except TypeError:  # a Reply holds a lock
        return copy(argument)


def exercise(exercise_id: str, **options) -> Callable[..., Solution]:
    """Decorates the solution's function, and keeps it as the answer to this exercise."""
    return lambda function=None: _SOLUTIONS.setdefault(exercise_id, Solution(function, **options))

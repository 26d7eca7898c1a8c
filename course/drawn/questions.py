"""A picture whose truth is known, what can be asked of it, and how a model's reply comes apart.

Knows nothing about drawing: scenes.py makes them.
"""

import tomllib
from dataclasses import dataclass

from course.drawn.canvas import Canvas
from slmlab.catalog import DATA

_KINDS = tomllib.loads((DATA / "drawn.toml").read_text(encoding="utf-8"))["questions"]
WORDINGS = {f"{kind}/{form}": texts for kind, forms in _KINDS.items() for form, texts in forms.items()}
ARROW = " => "  # between what a model reads, what it finds in that, and what it answers
ABSENT = "not there"


@dataclass(frozen=True)
class Question:
    """A question of a form, 'bars/value', its values filled in, its answer, and what a model should write of the
    reading before it answers: the row that is meant, or the rows up to it; '' where nothing is looked up."""

    form: str
    values: tuple[str, ...]
    answer: str
    found: str = ""

    @property
    def text(self) -> str:
        return WORDINGS[self.form][0].format(*self.values)

    @property
    def wordings(self) -> tuple[str, ...]:
        return tuple(wording.format(*self.values) for wording in WORDINGS[self.form])

    @property
    def reply(self) -> str:
        """What a model should write that has the reading before it: what it finds there, then the answer."""
        return f"{self.found}{ARROW}{self.answer}" if self.found else self.answer


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture or several, what they say, and what can be asked."""

    kind: str
    canvases: tuple[Canvas, ...]
    reading: str
    questions: tuple[Question, ...]

    @property
    def pictures(self) -> list:
        return [canvas.image for canvas in self.canvases]


def answer_of(reply: str) -> str:
    """The answer at the end of what a model wrote, without its way there."""
    return _parts(reply)[-1]


def reading_of(reply: str) -> str:
    """What a model wrote down of the picture first; '' if it answered at once."""
    parts = _parts(reply)
    return parts[0] if len(parts) > 1 else ""


def found_of(reply: str) -> str:
    """What a model picked out of its reading before it answered; '' if it answered at once from the whole."""
    return ARROW.join(_parts(reply)[1:-1])


def _parts(reply: str) -> list[str]:
    return [part.strip() for part in reply.split(ARROW.strip())]

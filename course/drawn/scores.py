"""How well a vision model answers, one form of question at a time: shares with their intervals, and opponents beside.

Reads what `python -m training.vision evaluate` wrote for the bundled model. Knows nothing about models or plotting.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

from slmlab.catalog import DATA
from slmlab.errors import SlmLabError
from slmlab.show import html_table, text_table

GATE = 0.9  # the share of exact answers from which a lesson relies on a form


@dataclass(frozen=True)
class Share:
    """So many of so many, and the interval that holds the true share 19 times of 20 (Wilson's)."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else 0.0

    @property
    def low(self) -> float:
        return self._bounds()[0]

    @property
    def high(self) -> float:
        return self._bounds()[1]

    def _bounds(self) -> tuple[float, float]:
        if not self.asked:
            return 0.0, 1.0
        z, n, p = 1.96, self.asked, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self):
        return f"{self.share:.0%} ({self.low:.0%}-{self.high:.0%}, n={self.asked})" if self.asked else "-"


@dataclass(frozen=True)
class FormScore:
    """One form of question: how often the model's answer is exact, within 5 of a number (where a height is guessed),
    the same with its picture blanked, what the commonest answer would get
    (None where there is one answer only), and what OCR with rules gets (None where no rule could)."""

    form: str
    wording: str
    model: Share
    near: Share | None
    blank: Share
    commonest: Share | None
    ocr: Share | None

    @property
    def relied_on(self) -> bool:
        return self.model.share >= GATE

    @property
    def blind(self) -> float:
        """The most that can be had without the picture."""
        return max(one.share for one in (self.blank, self.commonest) if one)


@dataclass(frozen=True)
class LookScore:
    """Pictures of one look: how many answers, and how many whole readings, are exact."""

    look: str
    answers: Share
    readings: Share


@dataclass(frozen=True)
class VisionScores:
    """All forms, whole readings by kind of picture, letters wrong by reader, bar charts in other looks, and how they
    were measured."""

    forms: tuple[FormScore, ...]
    readings: dict[str, Share]
    letters_wrong: dict[str, float]
    looks: tuple[LookScore, ...]
    notes: dict[str, object]

    def __getitem__(self, form: str) -> FormScore:
        found = [one for one in self.forms if one.form == form]
        if not found:
            raise SlmLabError(f"No form {form!r}. There is: {', '.join(one.form for one in self.forms)}.")
        return found[0]

    def of(self, kind: str) -> list[FormScore]:
        return [one for one in self.forms if one.form.split("/")[0] == kind]

    def _rows(self) -> list[tuple]:
        return [
            (one.form, one.wording, one.model, one.near or "", one.blank, one.commonest or "", one.ocr or "cannot")
            for one in self.forms
        ]

    def __str__(self):
        return text_table(_HEADS, self._rows())

    def _repr_html_(self):
        return html_table(_HEADS, self._rows())

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


_HEADS = ("form", "a wording", "exact", "within 5", "picture blanked", "commonest answer", "OCR and rules")


def vision_scores(path=None) -> VisionScores:
    """The scores of the bundled model, or those in another file."""
    path = Path(path) if path else DATA / "models" / "tiny-vlm" / "scores.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        forms = tuple(_record(FormScore, one) for one in found["forms"])
        looks = tuple(_record(LookScore, one) for one in found["looks"])
        readings = {kind: Share(**one) for kind, one in found["readings"].items()}
        return VisionScores(forms, readings, found["letters_wrong"], looks, found["notes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise SlmLabError(f"{path.name} can't be read: {fault}. Restore it: git checkout -- data/models") from fault


def _record(kind, fields: dict):
    return kind(**{name: Share(**value) if isinstance(value, dict) else value for name, value in fields.items()})


def count(verdicts: Iterable[bool]) -> Share:
    """The share of true ones."""
    verdicts = list(verdicts)
    return Share(sum(verdicts), len(verdicts))


def letters_wrong(truths: Sequence[str], said: Sequence[str]) -> float:
    """The character error rate: letters to change, add or drop, as a part of all letters there are."""
    wrong = sum(_distance(truth, text) for truth, text in zip(truths, said, strict=True))
    return wrong / max(1, sum(map(len, truths)))


def _distance(first: str, second: str) -> int:
    """How many letters must be changed, added or dropped to make one text the other."""
    row = list(range(len(second) + 1))
    for number, letter in enumerate(first, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(second, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1]

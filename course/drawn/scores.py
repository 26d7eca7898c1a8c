"""How well a vision model answers, one form of question at a time: shares with their intervals, and opponents beside.

Reads what `python -m training.vision evaluate` wrote for the bundled model. Knows nothing about models or plotting.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course.evaluate import Share
from slmlab.catalog import DATA

GATE = 0.9  # the share of exact answers from which a lesson relies on a form


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
    """All forms, whole readings by kind, letters wrong by reader, bar charts in other looks, how they were measured."""

    forms: tuple[FormScore, ...]
    readings: dict[str, Share]
    letters_wrong: dict[str, float]
    looks: tuple[LookScore, ...]
    notes: dict[str, object]

    def __getitem__(self, form: str) -> FormScore:
        return {one.form: one for one in self.forms}[form]


def vision_scores(path: Path = DATA / "models" / "tiny-vlm" / "scores.json") -> VisionScores:
    """The scores of the bundled model, or those in another file."""
    fields = json.loads(path.read_text(encoding="utf-8"), object_hook=_record)
    return VisionScores(**fields | {name: tuple(fields[name]) for name in ("forms", "looks")})


def _record(fields: dict) -> object:
    """An object of the file as the record that has these fields."""
    kinds = (Share, FormScore, LookScore)
    kind = next((kind for kind in kinds if kind.__dataclass_fields__.keys() == fields.keys()), dict)
    return kind(**fields)


@cache
def receipts() -> list[dict]:
    """Ten receipts of drawn.draw("receipt", f"exercise:{seed}"), photographed: what OCR read, a question, the truth."""
    lines = (DATA / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]

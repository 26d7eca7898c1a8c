"""The recipe of the vision model, and from when and how often each kind of picture comes."""

from dataclasses import dataclass

# Reading begins within a few hundred steps on one kind of picture, and not within a thousand on many at once.
ALONE = 900  # steps with the first kind alone
CURRICULUM = {  # how often each kind comes, and the step of reading from which it does
    "bars": (7, 0), "text": (5, ALONE), "receipt": (4, 1300), "table": (4, 1300), "shapes": (3.5, 1900),
    "pair": (2, 2100), "counter": (1.2, 2200), "moving": (1.8, 2300), "pie": (2.5, 2600), "line": (2, 3000),
    "heights": (2, 3300), "wedges": (0.7, 3600), "curve": (1, 3800),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What a training can be told. What it draws is decided by the curriculum above and by course/drawn."""

    seed: int = 0
    steps: int = 18800
    pages: int = 4000  # the first of them: the encoder alone learns glyphs and colours
    easy: int = 2500  # of the next ones, names of one letter: all at first, none at the end
    page_batch: int = 8
    batch: int = 14  # scenes in a step
    retold: int = 6  # readings without their picture in a step, each with many questions: how one looks things up
    muon_rate: float = 0.01  # both twice as high for the pages
    adam_rate: float = 1e-3
    weight_decay: float = 0.02
    warm_up: int = 50
    cool_down: float = 0.12  # the last part of the steps, in which the rates fall to nothing
    hints: float = 1.0  # weight of what the helping head says of one patch, beside a letter of a reading
    answers: float = 3.0  # weight of an answer's token beside a reading's
    width: int = 256
    seeing: int = 4
    telling: int = 4

"""What a runtime of this machine defines: a text being read and written, ids in and logits out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from slmlab.pictures import Picture


@dataclass(frozen=True)
class Sight:
    """Pictures that stand in a prompt, and what the runtime made of them. The same pictures are the same sight."""

    pictures: tuple[Picture, ...]
    inputs: Mapping[str, object] = field(compare=False, repr=False, default_factory=dict)


class Session:
    """One text being read and written: the ids the runtime has taken in, and the logits that follow them."""

    block: int | None = None  # ids that the runtime reads at a time, where it is asked to read in blocks

    def __init__(self, capacity: int):
        self.ids: list[int] = []
        self.whole = 0  # ids from the first on that were read in whole blocks, as in every text that begins with them
        self.capacity = capacity
        self.sight: Sight | None = None  # set before the first ids

    def append(self, ids: Sequence[int]) -> None:
        size = self.block or len(ids)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            if self.block == len(part) and self.whole == len(self.ids):
                self.whole += len(part)
            self.ids.extend(part)
            self._feed(part)

    def _feed(self, ids: Sequence[int]) -> None:
        raise TypeError("a runtime's session defines _feed")

    def logits(self) -> np.ndarray:
        """The logits after the last id, one number for each id of the vocabulary."""
        raise TypeError("a runtime's session defines logits")

    def rewind(self, count: int) -> None:
        """Go back to the first `count` ids, all of them read in whole blocks."""
        raise TypeError("a runtime's session that reads in blocks defines rewind")

    def close(self) -> None:
        """Give back what the runtime holds for this text."""

    def take_likeliest(self) -> int:
        """Choose the likeliest next id and take it in: a runtime may do so without handing its logits over."""
        id = int(np.argmax(self.logits()))
        self.append([id])
        return id


def capacity_for(needed: int, context: int) -> int:
    """Room for this turn and some turns to come, in doublings: the KV cache is allocated whole."""
    size = 512
    while size < needed:
        size *= 2
    return min(size, context)


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences have in common at the beginning: a token across the border belongs to the second."""
    return next(
        (place for place, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(second)),
    )

"""The way of a text through a mixture of experts, as records, and what follows from them by counting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slmlab.errors import BadRequest
from slmlab.show import Shown, Table

KINDS = ("letter", "capital", "digit", "space", "line end", "bracket", "other sign", "beyond ASCII")
_SHOWN = 24


@dataclass(frozen=True)
class Routed:
    """One token in one layer: the experts that it went through, the one that counts most first (with Phi's router,
    whose two weights stand apart, the best scored), and the weight of each."""

    token: int
    text: str
    layer: int
    experts: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Routing(Shown):
    """Which experts each token of a text went through. Iterate it for a record per layer and token. `experts` and
    `weights` are arrays of (layers, tokens, experts per token); `layers` are those that have experts."""

    model: str
    expert_count: int
    layers: tuple[int, ...]
    pieces: tuple
    experts: np.ndarray
    weights: np.ndarray

    def __iter__(self) -> Iterator[Routed]:
        for row, layer in enumerate(self.layers):
            for token, piece in enumerate(self.pieces):
                experts, weights = self.experts[row, token].tolist(), self.weights[row, token].tolist()
                yield Routed(token, piece.text, layer, tuple(experts), tuple(weights))

    def row_of(self, layer: int) -> int:
        """Where a layer stands in the arrays."""
        if layer not in self.layers:
            raise BadRequest(f"{self.model} has no experts in layer {layer!r}: see .layers.")
        return self.layers.index(layer)

    def first(self, layer: int) -> list[int]:
        """For each token the expert that the router of this layer ranked first."""
        return self.experts[self.row_of(layer), :, 0].tolist()

    def _table(self) -> Table:
        heads = ("token", *(f"layer {layer}" for layer in self.layers))
        rows = [
            (repr(piece.text), *("  ".join(map(str, layer[place])) for layer in self.experts))
            for place, piece in enumerate(self.pieces[:_SHOWN])
        ]
        if len(self.pieces) > _SHOWN:
            rows.append((f"… {len(self.pieces) - _SHOWN} more", *[""] * len(self.layers)))
        used = f"the {self.experts.shape[2]} of {self.expert_count} experts"
        return Table(heads, rows, f"{self.model}: {used} that each token went through, first choice first")


def shares_by(labels: Sequence, routings: Sequence[Routing], layer: int) -> dict[str, np.ndarray]:
    """For each label, the share that each expert got in a layer of its tokens' choices. A label is one for a whole
    text, or a list with one for each of its tokens."""
    names, table = _counted(labels, routings, layer)
    return dict(zip(names, table / table.sum(axis=1, keepdims=True), strict=True))


def information(labels: Sequence, routings: Sequence[Routing], layer: int) -> float:
    """How much one of a token's experts tells about its label (as in `shares_by`): the information they share over the
    label's. 0: nothing; 1: all of it. A few texts give a little by chance alone: compare with shuffled labels."""
    names, table = _counted(labels, routings, layer)
    assert len(names) > 1, "information needs at least two different labels"
    joint = table / table.sum()
    rows, columns = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    some = joint > 0
    shared = (joint[some] * np.log2(joint[some] / (rows @ columns)[some])).sum()
    return float(shared / -(rows * np.log2(rows)).sum())


def kind_of(text: str) -> str:
    """What kind of token this is, for the eye: one of KINDS. A token without text is a part of a character."""
    sign = text.strip(" \t")[:1]
    if text and not sign:
        return "space"
    if not sign or ord(sign) > 127:
        return "beyond ASCII"
    if sign in "\r\n":
        return "line end"
    if sign.isalpha():
        return "letter" if sign.islower() else "capital"
    return "digit" if sign.isdigit() else "bracket" if sign in "()[]{}<>" else "other sign"


def kinds(routing: Routing) -> list[str]:
    """The kind of each token of a text, as labels for `shares_by` and `information`."""
    return [kind_of(piece.text) for piece in routing.pieces]


def _counted(labels: Sequence, routings: Sequence[Routing], layer: int) -> tuple[list[str], np.ndarray]:
    """The labels in order, and how often each expert was chosen under each: every choice of a token counts."""
    counts: dict[str, np.ndarray] = {}
    for label, one in zip(labels, routings, strict=True):
        each = label if isinstance(label, list) else [label] * len(one.pieces)
        for name, chosen in zip(each, one.experts[one.row_of(layer)], strict=True):
            counts.setdefault(name, np.zeros(one.expert_count))[chosen] += 1
    names = [name for name in KINDS if name in counts] if counts.keys() <= set(KINDS) else list(counts)
    return names, np.array([counts[name] for name in names])

"""The experts inside a mixture: watched while a text is read, counted, switched off for a while, or as they began.

A block calls its experts with the tokens, the experts chosen for each, and their weights; a hook in front of that call
sees and may change what the router decided.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from inspect import signature

import numpy as np

from slmlab.chat import TokenPiece
from slmlab.engines.transformers import TransformersEngine, as_array
from slmlab.errors import BadRequest
from slmlab.show import Shown, Table

KINDS = ("letter", "capital", "digit", "space", "line end", "bracket", "other sign", "beyond ASCII")
_SHOWN = 24


@dataclass(frozen=True, eq=False, repr=False)
class Routing(Shown):
    """Which experts each token of a text went through. `experts` and `weights` are arrays of (layers, tokens, experts
    per token), the one that counts most first (with Phi's router, whose two weights stand apart, the best scored);
    `layers` are those that have experts."""

    model: str
    expert_count: int
    layers: tuple[int, ...]
    pieces: tuple
    experts: np.ndarray
    weights: np.ndarray

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


def routing(model, text: str) -> Routing:
    """Which experts each token of a text goes through, layer by layer, and with which weights."""
    layers, seen = experts_in(model), {}

    def keep(experts, inputs):
        seen[experts] = inputs[1:]

    with model.exclusive() as module, ExitStack() as hooks:  # or the hooks would see what another thread asks
        for experts in layers.values():
            # before any hook that silences: what is seen is what the router decided
            hooks.enter_context(experts.register_forward_pre_hook(keep, prepend=True))
        model.logprobs(text)
    ids = model.ids(text)
    own = range(len(ids) - len(model.tokens(text)), len(ids))  # without what the tokenizer adds in front
    decided = [_ranked(*seen[experts], module.config.model_type) for experts in layers.values()]
    choices, weights = (np.stack([as_array(each[part])[own] for each in decided]) for part in (0, 1))
    reader = model.format.reader(with_marks=True)  # a character of several tokens comes whole, with its last one
    pieces = tuple(TokenPiece(ids[place], reader.read(ids[place])) for place in own)
    return Routing(model.name, layers[min(layers)].num_experts, tuple(layers), pieces, choices.astype(int), weights)


@contextmanager
def without_expert(model, layer: int, expert: int) -> Iterator[None]:
    """Inside, an expert of a layer adds nothing to a token sent to it, and nobody takes its place. A reply is read in
    the block that it is asked in."""
    layers = experts_in(model)
    if layer not in layers:
        raise BadRequest(f"There are no experts in layer {layer!r}. There are some in: {[*layers]}.")
    if expert not in range(count := layers[layer].num_experts):
        raise BadRequest(f"There is no expert {expert!r}: layer {layer} has experts 0 to {count - 1}.")

    def silence(_, inputs):
        tokens, choices, weights = inputs
        return tokens, choices, weights.masked_fill(choices == expert, 0.0)

    with ExitStack() as after:
        after.callback(model.forget, changed=True)  # what the lesser model has cached is of no use to the whole one
        after.enter_context(layers[layer].register_forward_pre_hook(silence))
        model.forget(changed=True)  # and the other way
        yield


def untrained(model, seed: int = 0) -> TransformersEngine:
    """The same architecture as it is before its training: random weights from a seed. A model of its own."""
    if not isinstance(model, TransformersEngine):
        raise BadRequest(f"{model.name} has no twin here: load it with engine='transformers' for that.")
    import torch

    with model.exclusive() as module, torch.random.fork_rng(devices=[]):  # the reader's own chance is left alone
        torch.manual_seed(seed)
        begun = type(module)(type(module.config).from_pretrained(model.folder))
    precision = model.precision.split()[0]
    options = {"device": model.device, "threads": model.threads, "module": begun}
    twin = type(model)(model.card, model.folder, precision, **options)
    twin.name = f"{model.name}, untrained"
    return twin


def experts_in(model) -> dict[int, object]:
    """The experts of each layer that has some, by the layer's number; a model that shows none is refused."""
    parts, found = [], {}
    if isinstance(model, TransformersEngine):
        with model.exclusive() as module:
            parts = [*module.named_modules()]
    for name, part in parts:
        numbered = re.search(r"\.(\d+)\.", name)
        if numbered and type(part).__name__.endswith("Experts"):
            # self, tokens, choices, weights: some families call all their experts, and mix afterwards
            if len(signature(type(part).forward).parameters) == 4:
                found[int(numbered.group(1))] = part
    if not found:
        dense = f"{model.name} shows no experts: in a dense model every token goes through all of it."
        raise BadRequest(f"{dense} For some: slmlab.load('tiny-moe'), or a mixture with engine='transformers'.")
    return found


def _ranked(choices, weights, family: str):
    """Each token's experts with the one that counts most first. Many routers give them in any order; Phi's gives its
    best first, whatever it weighs."""
    if family == "phimoe":
        return choices, weights
    order = weights.sort(dim=-1, descending=True, stable=True).indices
    return choices.gather(-1, order), weights.gather(-1, order)


def shares_by(labels: Sequence, routings: Sequence[Routing], layer: int) -> dict[str, np.ndarray]:
    """For each label, the share that each expert got in a layer of its tokens' choices. A label is one for a whole
    text, or a list with one for each of its tokens."""
    names, table = _counted(labels, routings, layer)
    return dict(zip(names, table / table.sum(axis=1, keepdims=True), strict=True))


def information(labels: Sequence, routings: Sequence[Routing], layer: int) -> float:
    """How much one of a token's experts tells about its label (as in `shares_by`): their mutual information,
    normalised by the label's entropy. 0: nothing; 1: all of it. A few texts give a little by chance alone: compare with
    shuffled labels."""
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

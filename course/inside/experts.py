"""The experts inside a model of Transformers: found, watched, and silenced for a while.

In the families with fused experts (nearly all) the block calls them with the tokens, the experts chosen for each, and
their weights; a hook in front of that call sees and may change what the router decided. Knows nothing about texts or
tokenizers.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index

from course.inside.router import layers_named, not_a_mixture
from slmlab.architecture import is_mixture
from slmlab.errors import BadRequest


def experts_in(model) -> dict[int, object]:
    """The experts of each layer that has some, by the layer's number; a model without any is refused."""
    found, kind = {}, type(model).__name__
    for name, module in model.named_modules():
        numbered = re.search(r"\.(\d+)\.", name)
        if numbered and type(module).__name__.endswith("Experts") and _takes_choices(module):
            if found.setdefault(int(numbered.group(1)), module) is not module:
                raise BadRequest(f"{kind} has more than one set of experts in a layer: it can't be told.")
    if not found and is_mixture(model.config.to_dict()):
        raise BadRequest(f"{kind} is a mixture of experts whose code doesn't say whom it calls: nothing to watch.")
    if not found:
        raise BadRequest(not_a_mixture(kind))
    return found


def _takes_choices(module) -> bool:
    """Whether these experts are told which of them work for each token; some families call all and mix afterwards."""
    import inspect

    return len(inspect.signature(type(module).forward).parameters) == 4  # self, tokens, choices, weights


def count_of(experts) -> int:
    """How many experts a layer has."""
    return getattr(experts, "num_experts", None) or next(experts.parameters()).shape[0]


@contextmanager
def watched(layers: dict[int, object]) -> Iterator[dict[int, tuple]]:
    """Inside, every run of the model leaves what the routers of these layers decided: layer -> (choices, weights)."""
    seen: dict[int, tuple] = {}

    def keep(layer):
        return lambda _, given: seen.__setitem__(layer, (given[1].detach(), given[2].detach()))

    # before any hook that silences: what is seen is what the router decided
    hooks = [module.register_forward_pre_hook(keep(layer), prepend=True) for layer, module in layers.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def ranked(choices, weights, family: str):
    """Each token's experts with the one that counts most first. Many routers give them in any order; Phi's gives its
    best first, whatever it weighs."""
    if family == "phimoe":
        return choices, weights
    order = weights.sort(dim=-1, descending=True, stable=True).indices
    return choices.gather(-1, order), weights.gather(-1, order)


@contextmanager
def silenced(model, layer: int, expert: int | Iterable[int]) -> Iterator[None]:
    """Inside, an expert of a layer, or several, add nothing to a token sent to them. Nobody takes their place."""
    layers = experts_in(model)
    if isinstance(layer, bool) or not hasattr(layer, "__index__") or index(layer) not in layers:
        raise BadRequest(f"There are no experts in layer {layer!r}. There are some in: {layers_named(sorted(layers))}.")
    count = count_of(layers[layer])
    some = expert if isinstance(expert, Iterable) and getattr(expert, "ndim", 1) else [expert]
    silent = [_number(one, layer, count) for one in some]

    def silence(_, given):
        import torch

        tokens, choices, weights = given
        out = torch.isin(choices, torch.tensor(silent, device=choices.device))
        return tokens, choices, weights.masked_fill(out, 0.0)

    hook = layers[layer].register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


def _number(expert, layer: int, count: int) -> int:
    """An expert's number, from Python or NumPy."""
    try:
        found = None if isinstance(expert, bool) else index(expert)
    except TypeError:
        found = None
    if found is None or not 0 <= found < count:
        raise BadRequest(f"There is no expert {expert!r}: layer {layer} has experts 0 to {count - 1}.")
    return found

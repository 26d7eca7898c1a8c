"""The exercises of lesson 03: the top k, eight bits and back, a scorer that is tried on the model."""

import numpy as np

from course.answers import function_in, need, numbers_from, pair_from, shown
from course.exercises.registry import exercise


def _ids(values) -> list:
    return [int(one) if one % 1 == 0 else one for one in numbers_from(values)]


_LOGITS = {3: [0.1, 3.0, -2.0, 1.5, 2.2], 2: [-5.0, -1.0, -3.0], 1: [7.0, 1.0]}
_VALUES = "those are the logits themselves, and their ids are wanted"


@exercise("onnx-1", cases=[(np.array(logits), k, logits) for k, logits in _LOGITS.items()], reads=_ids,
          told="of the logits {why}, the top {k} came out as {shown}", otherwise=", and {right} is right", mistakes=[
    (_VALUES, lambda logits, k: np.sort(logits)[:k]),
    (_VALUES, lambda logits, k: np.sort(logits)[::-1][:k]),
    ("those are the lowest", lambda logits, k: np.argsort(logits)[:k]),
    ("the right ids, in another order than from the highest logit down", lambda logits, k: np.argsort(logits)[-k:]),
])  # fmt: skip
def pick_top_k(logits, k):
    return np.argsort(-logits)[:k]


def dequantize(small, scale):
    return small.astype(np.float32) * scale


@exercise("onnx-3", also=[dequantize])
def quantize_int8(values):
    scale = float(np.abs(values).max() / 127) or 1.0
    return np.round(values / scale).astype(np.int8), scale


@quantize_int8.judged
def _(answer):
    both = isinstance(answer, tuple) and len(answer) == 2
    need(both, 'hand over both functions: `check("onnx-3", (quantize_int8, dequantize))`')
    quantize, back = (function_in(*pair) for pair in zip(answer, ("quantize_int8", "dequantize"), strict=True))
    ramp = np.linspace(-1.3, 2.6, 101, dtype=np.float32)
    for values in (ramp, -ramp, np.zeros(4, dtype=np.float32)):
        small, scale = pair_from(quantize(values.copy()), "a pair, the small integers and their scale")
        kind = np.asarray(small).dtype
        need(kind == np.int8, f"the quantized values are {kind}, and int8 is wanted (`.astype(np.int8)`)")
        error = np.abs(np.array(numbers_from(back(small, scale), size=len(values))) - values).max()
        need(np.isfinite(error), "from a list of zeros came nan; a scale of 0 can't divide, so choose another for it")
        step = float(np.abs(values).max()) / 127 or 1.0
        away = f"a value came back {error / step:.0f} steps away from where it was"
        need(error <= 1.5 * step, f"{away}; does the largest land on 127?")
        away = f"a value came back {error / step:.2g} steps away"
        need(error <= 0.51 * step, f"{away}; round to the nearest and it is at most half a step")


_LOOPING = ("Describe a dog.", "Describe a cat.", "Tell me about my dog Bruno.", "What do bees make?",
            "Rewrite in a friendlier way: Send me the report.")  # fmt: skip


@exercise("onnx-4", limit_s=120)
def no_pair_twice(ids_so_far, logits):
    changed, last = logits.copy(), ids_so_far[-1]
    pairs = zip(ids_so_far, ids_so_far[1:], strict=False)
    changed[[second for first, second in pairs if first == last]] = -np.inf
    return changed


@no_pair_twice.judged
def _(answer):
    from slmlab.loading import load

    function, missed = function_in(answer, "no_pair_twice"), []
    before = np.array([0.5, -1.0, 4.0, 2.0], dtype=np.float32)
    logits = before.copy()
    scored = np.array(numbers_from(function([3, 1, 0, 3], logits), size=4))
    untouched = np.array_equal(logits, before)
    need(untouched, "the logits handed to your scorer were changed; work on a copy of them (`logits.copy()`)")
    need(np.allclose(scored[[0, 2, 3]], before[[0, 2, 3]]), "after the ids [3, 1, 0, 3] only id 1 is to be banned")
    with load() as model:
        for question in _LOOPING:
            ids = [token.id for token in model.ask(question, max_tokens=40, scorer=function).tokens]
            pairs = [*zip(ids, ids[1:], strict=False)]
            twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
            if twice:
                missed.append(f"{shown(question)} has {shown(''.join(map(model.piece, twice)))} twice")
    told = f"{len(_LOOPING) - len(missed)} of {len(_LOOPING)} answers have no pair twice; missed: {', '.join(missed)}"
    need(not missed, told)

"""The exercises of lesson 03: the top k, forbidden tokens, eight bits and back."""

import numpy as np

from course.answers import function_in, number_from, numbers_from, returned, shown
from course.exercises.registry import exercise


def _ids(values) -> list:
    return [int(one) if one % 1 == 0 else one for one in numbers_from(values)]


_LOGITS = {3: [0.1, 3.0, -2.0, 1.5, 2.2], 2: [-5.0, -1.0, -3.0], 1: [7.0, 1.0]}


@exercise("onnx-1", cases=[(np.array(logits), k, logits) for k, logits in _LOGITS.items()], reads=_ids,
          told="of the logits {why}, the top {k} came out as {shown}", otherwise=", and {right} is right")  # fmt: skip
def pick_top_k(logits, k):
    return np.argsort(-logits)[:k]


_VALUES = "those are the logits themselves, and their ids are wanted"
pick_top_k.mistake(_VALUES, lambda logits, k: np.sort(logits)[:k])
pick_top_k.mistake(_VALUES, lambda logits, k: np.sort(logits)[::-1][:k])
pick_top_k.mistake("those are the lowest", lambda logits, k: np.argsort(logits)[:k])
_ORDER = "the right ids, in another order than from the highest logit down"
pick_top_k.mistake(_ORDER, lambda logits, k: np.argsort(logits)[-k:])
pick_top_k.mistake(_ORDER, lambda logits, k: np.sort(np.argsort(logits)[-k:]))


@exercise("onnx-2")
def ban(ids):
    def scorer(ids_so_far, logits):
        changed = logits.copy()
        changed[ids] = -np.inf
        return changed

    return scorer


@ban.judged
def _(answer):
    make, before = function_in(answer, "ban"), np.array([0.5, -1.0, 4.0, 2.0], dtype=np.float32)
    for banned in ([2], [0, 3]):
        scorer = returned(make(list(banned)))
        if not callable(scorer):
            return f"`ban({banned})` gave {shown(scorer)}, and a function of `(ids_so_far, logits)` is wanted"
        logits = before.copy()
        scored = returned(scorer([7, 8, 9], logits))
        if not np.array_equal(logits, before):
            return "the logits handed to your scorer were changed; work on a copy of them (`logits.copy()`)"
        scored = np.array(numbers_from(scored, size=4))
        if not np.isneginf(scored[banned]).all():
            return f"with {banned} banned, their logits came out as {shown(scored[banned].tolist())}, not -inf"
        kept = [id for id in range(4) if id not in banned]
        if not np.allclose(scored[kept], before[kept]):
            return f"with {banned} banned, the other logits changed too: {shown(scored[kept].tolist())}"
    return None


@exercise("onnx-3")
def quantize_int8(values):
    scale = float(np.abs(values).max() / 127) or 1.0
    return np.round(values / scale).astype(np.int8), scale


@quantize_int8.also
def dequantize(small, scale):
    return small.astype(np.float32) * scale


@quantize_int8.judged
def _(answer):
    if not isinstance(answer, tuple) or len(answer) != 2:
        return 'hand over both functions: `check("onnx-3", (quantize_int8, dequantize))`'
    quantize, back = (function_in(*pair) for pair in zip(answer, ("quantize_int8", "dequantize"), strict=True))
    ramp = np.linspace(-1.3, 2.6, 101, dtype=np.float32)
    for values in (ramp, -ramp, np.float32([0.004, -0.001, 0.0025]), np.zeros(4, dtype=np.float32)):
        pair = returned(quantize(values.copy()))
        if not isinstance(pair, tuple) or len(pair) != 2:
            return f"`quantize_int8` gave {shown(pair)}, and a pair is wanted: the small integers and their scale"
        number_from(pair[1])
        small = np.asarray(pair[0])
        if small.dtype != np.int8:
            return f"the quantized values are {small.dtype}, and int8 is wanted (`.astype(np.int8)`)"
        error = np.abs(np.array(numbers_from(back(*pair), size=len(values))) - values).max()
        if not np.isfinite(error):
            return "from a list of zeros came nan; a scale of 0 can't divide, so choose another for it"
        step = float(np.abs(values).max()) / 127
        if error > 1.5 * step:
            return f"a value came back {error / step:.0f} steps away from where it was; does the largest land on 127?"
        if error > 0.51 * step:
            return (
                f"a value came back {error / step:.2g} steps away; round to the nearest and it is at most half a step"
            )
    return None

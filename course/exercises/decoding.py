"""Verdicts on the exercises about prompts, sampling, reading answers and quantizing: one small function each.

Takes a learner's answer, tries it on cases whose result is known, and says in a sentence what is still wrong.
"""

import json
import math

from course.answers import code, function_in, given, near, number_from, numbers_from, shown
from course.exercises.registry import exercise
from slmlab.records import Message


@exercise("instruct-1")
def _chatml(answer):
    function = function_in(answer, "chatml")
    user, system = Message("user", "What is 2+2?"), Message("system", "Answer in French.")
    for messages in ([user], [system, user], [user, Message("assistant", "4"), Message("user", "And\n3+3?")]):
        text = given(function, list(messages))
        if not isinstance(text, str):
            return f"`chatml` gave {shown(text)}, and a text is wanted"
        turns = "".join(f"<|im_start|>{one.role}\n{one.content}<|im_end|>\n" for one in messages)
        if text == turns:
            return "the turns are right; at the end, open the assistant's own turn, so that the model knows to speak"
        if text != turns + "<|im_start|>assistant\n":
            return _first_difference(text, turns + "<|im_start|>assistant\n")
    return None


def _first_difference(text: str, wanted: str) -> str:
    pairs = zip(text, wanted, strict=False)
    at = next((i for i, (mine, right) in enumerate(pairs) if mine != right), min(len(text), len(wanted)))
    after = f"after {code(repr(wanted[max(0, at - 24) : at]))}" if at else "at the very beginning"
    if at == len(wanted):
        return f"{after} the text is complete, and here {code(repr(text[at : at + 16]))} follows"
    there = f"stands {code(repr(text[at : at + 16]))}" if at < len(text) else "the text ends"
    return f"{after} {there} where {code(repr(wanted[at : at + 16]))} belongs"


@exercise("instruct-2")
def _softmax_with_temperature(answer):
    function = function_in(answer, "softmax_with_temperature")
    for logits, t in (
        ([2.0, 1.0, 0.0], 1.0),
        ([2.0, 1.0, 0.0], 0.5),
        ([0.3, -1.2, 4.0, 2.2], 2.0),
        ([1e3, 999.0], 1.0),
    ):
        told = f"`softmax_with_temperature({logits}, {t:g})` gave"
        try:
            values = numbers_from(given(function, list(logits), t), size=len(logits))
        except OverflowError:
            return _OVERFLOW
        if any(math.isnan(value) for value in values):
            return _OVERFLOW
        powers = [math.exp((one - max(logits)) / t) for one in logits]
        wanted = [power / sum(powers) for power in powers]
        if not near(sum(values), 1.0):
            return f"{told} probabilities that add up to {sum(values):.3g}; divide each by their sum"
        if not all(map(near, values, wanted)):
            mine, right = ([round(one, 3) for one in row] for row in (values, wanted))
            return f"{told} {shown(mine)}, and {shown(right)} is right"
    return None


_OVERFLOW = "with logits near 1000 the exponential overflows; take the largest logit off all of them first"


@exercise("instruct-3")
def _parse_json_answer(answer):
    function = function_in(answer, "parse_json_answer")
    for text, wanted in _JSON_ANSWERS:
        try:
            value = function(text)
        except json.JSONDecodeError:
            return f"`json.loads` gave up on {code(repr(text))}; catch that, and look for the JSON inside"
        if isinstance(value, str):
            return f"for {code(repr(text))} it gave a text; turn it into a dict with `json.loads`"
        if value != wanted:
            return f"for {code(repr(text))} it gave {shown(value)}, and {shown(wanted)} is right"
    return None


_JSON_ANSWERS = (
    ('{"name": "Ada", "age": 36}', {"name": "Ada", "age": 36}),
    ('Sure!\n```json\n{"name": "Ada"}\n```\nAnything else?', {"name": "Ada"}),
    ('Here it is: {"who": {"name": "Ada"}, "tags": ["x"]} I hope it helps.', {"who": {"name": "Ada"}, "tags": ["x"]}),
    ("I can't find a name in this text.", None),
    ('{"name": "Ada", "age":', None),
    ('Fill in {name}: {"name": "Ada"}', {"name": "Ada"}),
)


@exercise("onnx-1")
def _pick_top_k(answer):
    import numpy as np

    function = function_in(answer, "pick_top_k")
    for logits, k in (([0.1, 3.0, -2.0, 1.5, 2.2], 3), ([-5.0, -1.0, -3.0], 2), ([7.0, 1.0], 1)):
        ids = numbers_from(given(function, np.array(logits), k))
        ranked = sorted(range(len(logits)), key=lambda id: -logits[id])
        told = (
            f"of the logits {logits}, the top {k} came out as {shown([int(id) if id % 1 == 0 else id for id in ids])}"
        )
        if ids != ranked[:k] and set(ids) <= set(logits):
            return f"{told}: those are the logits themselves, and their ids are wanted"
        if ids == ranked[::-1][:k]:
            return f"{told}: those are the lowest"
        if ids != ranked[:k] and sorted(ids) == sorted(ranked[:k]):
            return f"{told}: the right ids, in another order than from the highest logit down"
        if ids != ranked[:k]:
            return f"{told}, and {ranked[:k]} is right"
    return None


@exercise("onnx-2")
def _ban(answer):
    import numpy as np

    make = function_in(answer, "ban")
    for banned in ([2], [0, 3]):
        scorer = given(make, list(banned))
        if not callable(scorer):
            return f"`ban({banned})` gave {shown(scorer)}, and a function of `(ids_so_far, logits)` is wanted"
        logits = np.array([0.5, -1.0, 4.0, 2.0], dtype=np.float32)
        before = logits.copy()
        scored = given(scorer, [7, 8, 9], logits)
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
def _quantize_int8(answer):
    import numpy as np

    if not isinstance(answer, tuple) or len(answer) != 2:
        return 'hand over both functions: `check("onnx-3", (quantize_int8, dequantize))`'
    quantize, dequantize = (
        function_in(one, name) for one, name in zip(answer, ("quantize_int8", "dequantize"), strict=True)
    )
    ramp = np.linspace(-1.3, 2.6, 101, dtype=np.float32)
    for values in (ramp, -ramp, np.float32([0.004, -0.001, 0.0025]), np.zeros(4, dtype=np.float32)):
        pair = given(quantize, values.copy())
        if not isinstance(pair, tuple) or len(pair) != 2:
            return f"`quantize_int8` gave {shown(pair)}, and a pair is wanted: the small integers and their scale"
        number_from(pair[1])
        small = np.asarray(pair[0])
        if small.dtype != np.int8:
            return f"the quantized values are {small.dtype}, and int8 is wanted (`.astype(np.int8)`)"
        error = np.abs(np.array(numbers_from(given(dequantize, *pair), size=len(values))) - values).max()
        if not math.isfinite(error):
            return "from a list of zeros came nan; a scale of 0 can't divide, so choose another for it"
        step = float(np.abs(values).max()) / 127
        if error > 1.5 * step:
            return f"a value came back {error / step:.0f} steps away from where it was; does the largest land on 127?"
        if error > 0.51 * step:
            return (
                f"a value came back {error / step:.2g} steps away; round to the nearest and it is at most half a step"
            )
    return None

"""The exercises of lesson 02: the chat template, softmax, JSON out of an answer."""

import json
import math
from os.path import commonprefix

from course.answers import NotYet, code, function_in, near, need, numbers_from, returned, shown
from course.exercises.registry import exercise
from slmlab.records import Message

_USER, _SYSTEM = Message("user", "What is 2+2?"), Message("system", "Answer in French.")
_CHATS = ([_USER], [_SYSTEM, _USER], [_USER, Message("assistant", "4"), Message("user", "And\n3+3?")])


@exercise("instruct-1")
def chatml(messages):
    text = ""
    for one in messages:
        text += f"<|im_start|>{one.role}\n{one.content}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


@chatml.judged
def _(answer):
    function = function_in(answer, "chatml")
    for messages in _CHATS:
        text, wanted = returned(function(list(messages))), chatml(messages)
        need(isinstance(text, str), f"`chatml` gave {shown(text)}, and a text is wanted")
        opened = text != wanted.removesuffix("<|im_start|>assistant\n")
        need(opened, "the turns are right; at the end, open the assistant's own turn, so that the model knows to speak")
        need(text == wanted, _first_difference(text, wanted))


def _first_difference(text: str, wanted: str) -> str:
    at = len(commonprefix([text, wanted]))
    after = f"after {code(repr(wanted[max(0, at - 24) : at]))}" if at else "at the very beginning"
    there = f"stands {code(repr(text[at : at + 16]))}" if at < len(text) else "the text ends"
    return f"{after} {there} where {code(repr(wanted[at : at + 16]))} belongs"


@exercise("instruct-2")
def softmax_with_temperature(logits, t):
    top = max(logits)
    powers = [math.exp((one - top) / t) for one in logits]
    return [one / sum(powers) for one in powers]


@softmax_with_temperature.judged
def _(answer):
    function = function_in(answer, "softmax_with_temperature")
    overflow = "with logits near 1000 the exponential overflows; take the largest logit off all of them first"
    row = [2.0, 1.0, 0.0]
    for logits, t in ((row, 1.0), (row, 0.5), ([0.3, -1.2, 4.0, 2.2], 2.0), ([1e3, 999.0], 1.0)):
        try:
            values = numbers_from(function(list(logits), t), size=len(logits))
        except OverflowError:
            raise NotYet(overflow) from None
        need(not any(map(math.isnan, values)), overflow)  # numpy's exponential gives inf, and a division nan
        told, wanted = f"`softmax_with_temperature({logits}, {t:g})` gave", softmax_with_temperature(logits, t)
        total = sum(values)
        need(near(total, 1.0), f"{told} probabilities that add up to {total:.3g}; divide each by their sum")
        mine, right = (shown([round(one, 3) for one in numbers]) for numbers in (values, wanted))
        need(all(map(near, values, wanted)), f"{told} {mine}, and {right} is right")


@exercise("instruct-3")
def parse_json_answer(text):
    for at, sign in enumerate(text):
        if sign == "{":
            try:
                return json.JSONDecoder().raw_decode(text, at)[0]
            except json.JSONDecodeError:
                continue
    return None


_ANSWERS = (
    '{"name": "Ada", "age": 36}',
    'Sure!\n```json\n{"name": "Ada"}\n```\nAnything else?',
    'Here it is: {"who": {"name": "Ada"}, "tags": ["x"]} I hope it helps.',
    "I can't find a name in this text.",
    '{"name": "Ada", "age":',
)


@parse_json_answer.judged
def _(answer):
    function = function_in(answer, "parse_json_answer")
    for text in _ANSWERS:
        said, wanted = code(repr(text)), parse_json_answer(text)
        try:
            value = function(text)
        except json.JSONDecodeError:
            raise NotYet(f"`json.loads` gave up on {said}; catch that, and look for the JSON inside") from None
        need(value == wanted, f"for {said} it gave {shown(value)}, and {shown(wanted)} is right")

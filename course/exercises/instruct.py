"""The exercises of lesson 02: the chat template, softmax, a prompt that is tried on ten texts."""

import json
import math
import tomllib
from os.path import commonprefix

from course.answers import NotYet, code, function_in, near, need, numbers_from, returned, shown
from course.exercises.registry import exercise
from slmlab.catalog import DATA
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


_WANTED, _KEYS = 8, ("name", "age", "city")


@exercise("instruct-4", limit_s=300)
def messages(text):
    chat = []
    for said, *values in (
        ("Tom Reed, 41, is a baker from Leeds.", "Tom Reed", 41, "Leeds"),
        ("In Madrid lives Rosa Gil, who is 58 years old.", "Rosa Gil", 58, "Madrid"),
        ("Sam Cole (22) works as a cook in Boston.", "Sam Cole", 22, "Boston"),
        ("The painter Ivan Petrov, aged 66, was born in Sofia.", "Ivan Petrov", 66, "Sofia"),
    ):
        record = json.dumps(dict(zip(("name", "age", "city"), values, strict=True)))
        chat += [{"role": "user", "content": f"Text: {said}"}, {"role": "assistant", "content": record}]
    return [*chat, {"role": "user", "content": f"Text: {text}"}]


@messages.judged
def _(answer):
    from slmlab.loading import load

    function, missed = function_in(answer, "messages"), []
    people = tomllib.loads((DATA / "questions" / "people.toml").read_text("utf-8"))["people"]
    prompts = {one["text"]: returned(function(one["text"])) for one in people}
    for text, prompt in prompts.items():
        need(isinstance(prompt, list), f"`messages` gave {shown(prompt)}, and a list of messages is wanted")
        given = any(other in str(prompt) for other in prompts if other != text)
        need(not given, "one of the ten texts stands among your examples; make up other people for them")
    with load() as model:
        for one in people:
            reply = model.ask(prompts[one["text"]], max_tokens=40, stop="}")  # what follows isn't waited for
            text = reply.text + "}" * (reply.finish_reason == "stop")
            if _record(text) != {key: one[key] for key in _KEYS}:
                missed.append(f"{one['name']}, {code(text, 60)}")
    score, more = len(people) - len(missed), f"; and {len(missed) - 3} more" if len(missed) > 3 else ""
    told = f"{score} of {len(people)}, and {_WANTED} are wanted; missed: {'; '.join(missed[:3])}{more}"
    need(score >= _WANTED, told)


def _record(text: str):
    try:
        return json.loads(text[text.index("{") :])
    except ValueError:  # no brace, or no JSON after it
        return None

"""The exercises of lessons 06 to 08: streams, retries, pictures, replicas, addresses, filters."""

import json
import math

from course.answers import function_in, need, pair_from, returned, shown
from course.drawn import draw
from course.exercises.registry import exercise
from endpoint import completions, practice
from slmlab.pictures import as_picture


def _chunk(content) -> dict:
    return {"choices": [{"delta": {"role": "assistant", "content": content}}]}


_HI = _chunk("Hi")
_FORMS = {"parts": list, "tagged": str}


@exercise("github-1", reads=returned, told="it gave {shown} where {right!r} is right", otherwise=": {why}", cases=[
    ([_chunk("Hel"), _chunk("lo")], "the pieces are joined"),
    ([{"choices": []}, _HI], "the first chunk may have no choices: it carries the filter's results"),
    ([_chunk(None), _HI], "the chunk with the role has no content"),
    ([{"choices": [{"delta": {}}]}, _HI], "the last chunk has an empty delta"),
    ([_HI, {"choices": [], "usage": {"total_tokens": 3}}], "the chunk with the usage has no choices"),
])  # fmt: skip
def text_of(chunks):
    parts = []
    for chunk in chunks:
        for choice in chunk["choices"][:1]:
            parts.append(choice["delta"].get("content") or "")
    return "".join(parts)


@exercise("github-2", reads=lambda value: value, otherwise=", and {right} is right: {why}",
          told="`seconds_to_wait({status}, {retry_after})` gave {shown}", cases=[
    (429, 2, "the service said when to come back"),
    (503, None, "a server that fails may work again in a second"),
    (429, 52_220, "nobody waits half a day in a notebook: give None, so that the reader is told at once"),
    (401, None, "a wrong key is wrong the next time as well"),
    (400, 1, "the request itself is wrong, so it is wrong the next time as well"),
])  # fmt: skip
def seconds_to_wait(status, retry_after):
    if status != 429 and status < 500:
        return None
    wait = 1 if retry_after is None else retry_after
    return wait if wait <= 60 else None


@exercise("nim-1", cases=[(41, 40), (40, 40), (100, 40), (1, 40), (1000, 15)],
          told="`minutes({requests}, {per_minute})` gave {value:g}", mistakes=[
    ("a first group leaves at once, so {right:g} is right", lambda requests, per_minute: requests // per_minute),
    ("count whole groups: nothing leaves between two of them", lambda requests, per_minute: requests / per_minute),
])  # fmt: skip
def minutes(requests, per_minute):
    return (requests - 1) // per_minute


def tagged(question, picture):
    return f'{question} <img src="{picture.data_url}" />'


@exercise("nim-2", also=[tagged])
def parts(question, picture):
    return [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": picture.data_url}}]


@parts.judged
def _(answer):
    question, picture = "How much is Tue?", as_picture(draw("bars", "nim:0").pictures[0])
    for function, (name, kind) in zip(pair_from(answer, "`(parts, tagged)`"), _FORMS.items(), strict=True):
        content = returned(function_in(function, name)(question, picture))
        need(isinstance(content, kind), f"`{name}` gave {shown(content)}, and a {kind.__name__} is wanted")
        body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
        seen = practice.with_inline_pictures(completions.read_chat(body).messages[0])
        told = f"of what `{name}` gave, the server reads the text {shown(seen.content)} and {len(seen.images)} pictures"
        need((seen.content, seen.images) == (question, (picture.data_url,)), f"{told}; one is its `data_url`")


@exercise("nim-3", cases=[(1, 5, 4, 1, 4), (2, 3, 4, 1, 4), (2, 4.2, 4, 1, 8), (1, 40, 4, 1, 4), (2, 0, 4, 1, 4)],
          told="`replicas({now}, {waiting:g}, {target}, {least}, {most})` gave {value:g}", mistakes=[
    ("within a tenth of the target nothing changes, so {right:g} is right",
     lambda now, waiting, target, least, most: min(max(math.ceil(now * waiting / target), least), most)),
    ("each of the replicas that run now has so many waiting",
     lambda now, waiting, target, least, most: min(max(math.ceil(waiting / target), least), most)),
])  # fmt: skip
def replicas(now, waiting, target, least, most):
    if abs(waiting / target - 1) <= 0.1:
        return now
    return min(max(math.ceil(now * waiting / target), least), most)


@exercise("foundry-1", reads=returned, told="for {old!r} it gave {shown}", otherwise="; wanted: {right!r}", cases=[
    ("https://contoso.services.ai.azure.com/models",), ("https://lab-7.services.ai.azure.com/models/",)
])  # fmt: skip
def new_address(old):
    return old.rstrip("/").removesuffix("/models") + "/openai/v1"


_CALM, _BAD = {"filtered": False, "severity": "safe"}, {"filtered": True, "severity": "medium"}
_CAUGHT = {"filtered": True, "detected": True}


@exercise("foundry-2", reads=lambda value: sorted(returned(value)), told="for {why} it gave {shown}",
          otherwise=", and {right} is right", cases=[
    ({"hate": _CALM, "violence": _BAD}, "hate, violence"),
    ({"hate": _CALM, "violence": _CALM}, "hate, violence"),
    ({"hate": _BAD, "jailbreak": _CAUGHT, "violence": _BAD}, "hate, jailbreak, violence"),
])  # fmt: skip
def what_was_filtered(results):
    return [category for category, verdict in results.items() if verdict["filtered"]]

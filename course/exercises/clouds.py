"""The exercises of lessons 06 to 08: streams, waits, forms, pictures, replicas, filters, tokens."""

import json
import math
import random
import re

from course.answers import code, function_in, near, need, number_from, pair_from, returned, shown
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


@exercise("github-2")
def seconds_to_wait(tries, retry_after):
    if retry_after is not None:
        return retry_after
    return min(60, 2 ** (tries - 1)) * random.uniform(0.5, 1)


@seconds_to_wait.judged
def _(answer):
    function = function_in(answer, "seconds_to_wait")
    need(near(number_from(function(3, 7.0)), 7.0), "what the service asks for comes first: (3, 7) gives 7")
    for tries, most in ((1, 1), (2, 2), (4, 8), (7, 60), (30, 60)):
        waits = [number_from(function(tries, None)) for _ in range(50)]
        told = f"after try {tries} it gave {min(waits):.3g} to {max(waits):.3g} seconds"
        need(most / 2 <= min(waits) and max(waits) <= most, f"{told}, and {most / 2:g} to {most} are right")
        need(max(waits) - min(waits) > most / 10, f"{told}: each call draws its own wait, so that no two come together")


@exercise("github-3", limit_s=300)
def request(text):
    schema = {"type": "object", "properties": {"order": {"type": "integer"}},
              "required": ["order"], "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "order", "schema": schema}}
    example = [{"role": "user", "content": "My lamp leaks. It was order 31415."},
               {"role": "assistant", "content": '{"order": 31415}'}]  # fmt: skip
    return {"messages": [*example, {"role": "user", "content": text}], "response_format": form}


@request.judged
def _(answer):
    from course.making import tickets
    from slmlab.loading import load

    function, missed = function_in(answer, "request"), []
    with load() as model:
        for text, record in tickets(10, seed=2, of="test"):
            body = returned(function(text))
            form = body.get("response_format", {}).get("json_schema", {})
            said = model.ask(body["messages"], schema=form.get("schema"), max_tokens=24).text
            found = re.fullmatch(r'\s*{\s*"order":\s*(\d+)\s*}\s*', said)
            missed += [] if found and f'"order": {found[1]},' in record else [said]
    told = f"{10 - len(missed)} of 10, and 8 are wanted; the first miss: {code(missed[0]) if missed else ''}"
    need(len(missed) <= 2, told)


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


@exercise("foundry-1", reads=returned, told="`is_stale({expires_on}, {now})` gave {shown}", otherwise=": {why}", cases=[
    (None, 1000, "without a token there is nothing to send"),
    (900, 1000, "that token has run out"),
    (1240, 1000, "it runs out in 4 minutes, perhaps while a long answer is written"),
    (4600, 1000, "it lasts for an hour: to fetch one for each call is slow"),
])  # fmt: skip
def is_stale(expires_on, now):
    return expires_on is None or expires_on - now < 300


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


@exercise("foundry-3", reads=returned, told="for {status}, {code!r}, {reason!r} it gave {shown}",
          otherwise=", and {right!r} is right", cases=[
    (200, None, "stop"), (200, None, "content_filter"), (200, None, "length"), (400, "content_filter", None),
    (404, "DeploymentNotFound", None), (429, None, None), (401, "401", None), (503, None, None),
    (400, "BadRequest", None),
])  # fmt: skip
def next_step(status, code, reason):
    if status == 200:
        return {"stop": "show", "length": "go on"}.get(reason, "say it was cut")
    if code == "content_filter":
        return "other words"
    if status == 429 or status >= 500:
        return "wait"
    return {404: "check the list", 401: "new token"}.get(status, "mend the request")

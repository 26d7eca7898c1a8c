"""The exercises of lessons 06 to 08: streams, retries, pictures and prices, addresses, filters."""

from course.answers import returned
from course.exercises.registry import exercise


def _chunk(content) -> dict:
    return {"choices": [{"delta": {"role": "assistant", "content": content}}]}


_HI = _chunk("Hi")


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


@exercise("nim-1", cases=[(3,), (300,), (1,), (2,)], told="`base64_length({size})` gave {value:g}", mistakes=[
    ("base64 is longer than the bytes, four characters for three", lambda size: size),
    ("the last group is filled up, so it is {right:g}", lambda size: size * 4 / 3),
])  # fmt: skip
def base64_length(size):
    return 4 * ((size + 2) // 3)


@exercise("nim-2", cases=[(1_000_000, 0, 0.5, 2.0), (0, 1_000_000, 0.5, 2.0), (1200, 300, 0.1, 0.4)],
          told="`cost({read}, {written}, {price_in}, {price_out})` gave {value:.6g}",
          otherwise=", and {right:.6g} is right", mistakes=[
    ("prices are for a million tokens",
     lambda read, written, price_in, price_out: read * price_in + written * price_out),
    ("tokens that are written have a price of their own",
     lambda read, written, price_in, price_out: (read + written) * price_in / 1e6),
])  # fmt: skip
def cost(read, written, price_in, price_out):
    return (read * price_in + written * price_out) / 1_000_000


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

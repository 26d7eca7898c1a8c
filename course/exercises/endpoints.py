"""Verdicts on the exercises about endpoints: retries, streams, pictures, costs, addresses, filters.

Takes a learner's answer, tries it on cases whose result is known, and says in a sentence what is still wrong.
"""

import math
from collections.abc import KeysView

from course.answers import function_in, given, near, number_from, shown
from course.exercises.registry import exercise


@exercise("github-1")
def _text_of(answer):
    function = function_in(answer, "text_of")
    piece = _chunk
    for chunks, wanted, why in (
        ([piece("Hel"), piece("lo")], "Hello", "the pieces are joined"),
        ([{"choices": []}, piece("Hi")], "Hi", "the first chunk may have no choices: it carries the filter's results"),
        ([piece(None), piece("Hi")], "Hi", "the chunk with the role has no content"),
        ([{"choices": [{"delta": {}}]}, piece("Hi")], "Hi", "the last chunk has an empty delta"),
        ([piece("Hi"), {"choices": [], "usage": {"total_tokens": 3}}], "Hi", "the chunk with the usage has no choices"),
    ):
        value = given(function, chunks)
        if value != wanted:
            return f"it gave {shown(value)} where {wanted!r} is right: {why}"
    return None


def _chunk(content) -> dict:
    return {"choices": [{"delta": {"role": "assistant", "content": content}}]}


@exercise("github-2")
def _wait_before_retry(answer):
    function = function_in(answer, "seconds_to_wait")
    for status, after, wanted, why in (
        (429, 2, 2, "the service said when to come back"),
        (429, 60, 60, "a minute can be waited"),
        (503, None, 1, "a server that fails may work again in a second"),
        (500, None, 1, "a server that fails may work again in a second"),
        (429, 52_220, None, "nobody waits half a day in a notebook: give None, so that the reader is told at once"),
        (401, None, None, "a wrong key is wrong the next time as well"),
        (404, None, None, "a model that isn't there won't come by asking again"),
        (410, 5, None, "410 means gone for good, whatever else the answer says"),
        (400, 1, None, "the request itself is wrong, so it is wrong the next time as well"),
        (403, 1, None, "what the key may not do now it may not do in a second"),
        (413, None, None, "a prompt that is too long is too long the next time as well"),
    ):
        value = function(status, after)
        if value != wanted or (wanted is not None and isinstance(value, bool)):
            return f"`seconds_to_wait({status}, {after})` gave {shown(value)}, and {wanted} is right: {why}"
    return None


@exercise("nim-1")
def _base64_length(answer):
    function = function_in(answer, "base64_length")
    for size in (3, 300, 1, 2, 100_000, 134_998):
        value, wanted = number_from(given(function, size)), 4 * math.ceil(size / 3)
        if near(value, size):
            return f"`base64_length({size})` gave {value:g}: base64 is longer than the bytes, four characters for three"
        if near(value, size * 4 / 3) and not near(value, wanted):
            return f"`base64_length({size})` gave {value:.2f}: the last group is filled up, so it is {wanted}"
        if not near(value, wanted):
            return f"`base64_length({size})` gave {value:g}, and {wanted} is right"
    return None


@exercise("nim-2")
def _cost(answer):
    function = function_in(answer, "cost")
    for read, written, price_in, price_out in (
        (1_000_000, 0, 0.5, 2.0),
        (0, 1_000_000, 0.5, 2.0),
        (1200, 300, 0.1, 0.4),
    ):
        value = number_from(given(function, read, written, price_in, price_out))
        wanted = (read * price_in + written * price_out) / 1e6
        told = f"`cost({read}, {written}, {price_in}, {price_out})` gave {value:.6g}"
        if near(value, wanted):
            continue
        if near(value, wanted * 1e6):
            return f"{told}: prices are for a million tokens"
        if near(value, (read + written) * price_in / 1e6) or near(value, (read + written) * price_out / 1e6):
            return f"{told}: tokens that are written have a price of their own"
        return f"{told}, and {wanted:.6g} is right"
    return None


@exercise("foundry-1")
def _new_address(answer):
    function = function_in(answer, "new_address")
    for old, wanted in (
        ("https://contoso.services.ai.azure.com/models", "https://contoso.services.ai.azure.com/openai/v1"),
        ("https://lab-7.services.ai.azure.com/models/", "https://lab-7.services.ai.azure.com/openai/v1"),
    ):
        value = given(function, old)
        if not isinstance(value, str):
            return f"it gave {shown(value)}, and an address is wanted"
        if "api-version" in value:
            return "the new address needs no api-version"
        if value.rstrip("/") != wanted:
            return f"for {old!r} it gave {shown(value)}; wanted: {wanted!r}"
    return None


@exercise("foundry-2")
def _what_was_filtered(answer):
    function = function_in(answer, "what_was_filtered")
    calm, bad = {"filtered": False, "severity": "safe"}, {"filtered": True, "severity": "medium"}
    caught = {"filtered": True, "detected": True}
    for results, wanted in (
        ({"hate": calm, "violence": bad}, ["violence"]),
        ({"hate": calm, "violence": calm}, []),
        ({"hate": bad, "jailbreak": caught, "violence": bad}, ["hate", "jailbreak", "violence"]),
    ):
        value = given(function, results)
        if not isinstance(value, list | tuple | set | KeysView):
            return f"it gave {shown(value)}, and a list of categories is wanted"
        if sorted(value) != wanted:
            return f"for {', '.join(results)} it gave {shown(sorted(value))}, and {wanted} is right"
    return None

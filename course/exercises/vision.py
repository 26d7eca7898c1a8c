"""The exercises of lesson 04: pictures as tokens, what a reply says, receipts, frames."""

import math

from course.answers import function_in, need, returned, shown
from course.exercises.registry import exercise


@exercise("vision-1", cases=[(192, 192, 16), (224, 224, 32), (336, 336, 14), (200, 100, 16)],
          told="for {width} x {height} pixels and patches of {patch} it gave {value:g}")  # fmt: skip
def tokens(width, height, patch):
    return math.ceil(width / patch) * math.ceil(height / patch)


tokens.mistake(
    "a patch is a square, so it takes up {patch} x {patch} pixels", lambda width, height, patch: width * height / patch
)
tokens.mistake(
    "a part of a patch is padded to a whole one. Round up each side on its own: {right:g}",
    lambda width, height, patch: width * height / patch**2,
)
tokens.mistake(
    "what is left over at the border is padded, not dropped; there are {right:g}",
    lambda width, height, patch: (width // patch) * (height // patch),
)


@exercise("vision-2")
def split(reply):
    parts = [part.strip() for part in reply.split("=>")]
    return (parts[0] if len(parts) > 1 else "", parts[-1])


_REPLIES = (
    "A red 3, B blue 5 => 2", "A red 3, B blue 5 => B blue 5 => 5", "HELLO", "Milk 2.50=>2.50 ", "1: A 3; 2: A 9 => 2"
)  # fmt: skip


@split.judged
def _(answer):
    function = function_in(answer, "split")
    for reply in _REPLIES:
        found, wanted = returned(function(reply)), split(reply)
        pair = isinstance(found, tuple | list) and len(found) == 2
        need(pair, f"give two texts, the reading and the answer, not {shown(found)}")
        found, told = tuple(found), f"of {reply!r} it"
        gave, alone = f"{told} gave {shown(found)}", not wanted[0] and found == (wanted[1], "")
        need(not alone, f"{gave}: with no arrow all is answer, and the reading empty")
        need(found != wanted[::-1], f"{told} gave the answer first: the reading comes before it")
        need(all(isinstance(part, str) for part in found), f"{gave}: both are texts, also an empty one")
        last = not found[1].strip().startswith("B blue 5")
        need(last, f"{gave}: the answer is what stands after the last arrow")
        spaces = found != wanted == tuple(part.strip() for part in found)
        need(not spaces, f"{told} left spaces at the ends: `.strip()` takes them off")
        need(found == wanted, f"{told} made {shown(found)}, and {wanted} is right")


@exercise("vision-3")
def price_of(rows, name):
    for row in rows:
        if len(row) > 1 and row[0].lower() == name.lower():
            return row[-1]
    return ""


_ROWS = [["Corner shop"], ["Milk", "2.50"], ["Teapot", "9.00"], ["Tea", "2 x", "1.20", "2.40"], ["TOTAL", "13.90"]]


@price_of.judged
def _(answer):
    function = function_in(answer, "price_of")
    for name in ("Milk", "Tea", "total", "Soap", "Corner shop"):
        wanted, found = price_of(_ROWS, name), function([list(row) for row in _ROWS], name)
        after = f'for {name!r} it gave nothing: return `""` after the loop, where no row was the right one'
        need(wanted or found is not None, after)
        told = f"for {name!r} it gave {shown(found)}"
        if name == "Tea":
            need(found != "2 x", f"{told}: the price is the last text of its row")
            whole = f"{told}, the price of a Teapot: the first text of the row must be the whole name"
            need(found != "9.00", whole)
        case = ": capitals should make no difference" if name == "total" else f", and {shown(wanted)} is right"
        need(returned(found) == wanted, told + case)


@exercise("vision-4", cases=[(131_072, 757, 500), (4096, 757, 96), (1024, 145, 200), (300, 757, 500)],
          told="for a context of {context:,}, frames of {cost} and {text} kept for text it gave {value:g}")  # fmt: skip
def frames(context, cost, text):
    return max(0, (context - text) // cost)


_ROUND = "half a frame is none, so round down"
_KEPT = "{text} tokens are kept for the question and the answer, so take them off first"
frames.mistake("where nothing fits, that is 0", lambda context, cost, text: (context - text) // cost)
frames.mistake(_ROUND, lambda context, cost, text: max(0, (context - text) / cost))
frames.mistake(_ROUND, lambda context, cost, text: context / cost)
frames.mistake(_KEPT, lambda context, cost, text: context // cost)

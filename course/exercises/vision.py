"""The exercises of lesson 04: pictures as tokens, what a reply says, receipts, frames."""

import math

from course.answers import function_in, returned, shown
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
        if not isinstance(found, tuple | list) or len(found) != 2:
            return f"give two texts, the reading and the answer, not {shown(found)}"
        found = tuple(found)
        gave = f"of {reply!r} it gave {shown(found)}"
        if not wanted[0] and found == (wanted[1], ""):
            return f"{gave}: with no arrow all is answer, and the reading empty"
        if found == wanted[::-1]:
            return f"of {reply!r} it gave the answer first: the reading comes before it"
        if not all(isinstance(part, str) for part in found):
            return f"{gave}: both are texts, also an empty one"
        if found[1].strip().startswith("B blue 5"):
            return f"{gave}: the answer is what stands after the last arrow"
        if tuple(part.strip() for part in found) == wanted != found:
            return f"of {reply!r} it left spaces at the ends: `.strip()` takes them off"
        if found != wanted:
            return f"of {reply!r} it made {shown(found)}, and {wanted} is right"
    return None


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
        told = f"for {name!r} it gave {shown(found)}"
        if found is None and not wanted:
            return f'for {name!r} it gave nothing: return `""` after the loop, where no row was the right one'
        if returned(found) == wanted:
            continue
        if name == "Tea" and found == "2 x":
            return f"{told}: the price is the last text of its row"
        if name == "Tea" and found == "9.00":
            return f"{told}, the price of a Teapot: the first text of the row must be the whole name"
        return (
            f"{told}: capitals should make no difference"
            if name == "total"
            else f"{told}, and {shown(wanted)} is right"
        )
    return None


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

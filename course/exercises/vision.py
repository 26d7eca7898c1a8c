"""The exercises of lesson 04: pictures as tokens, what a reply says, receipts, frames."""

import math

from course.answers import function_in, need, pair_from, returned, shown
from course.exercises.registry import exercise


@exercise("vision-1", cases=[(192, 192, 16), (336, 336, 14), (200, 100, 16)],
          told="for {width} x {height} pixels and patches of {patch} it gave {value:g}", mistakes=[
    ("a patch is a square, so it takes up {patch} x {patch} pixels",
     lambda width, height, patch: width * height / patch),
    ("a part of a patch is padded to a whole one. Round up each side on its own: {right:g}",
     lambda width, height, patch: width * height / patch**2),
    ("what is left over at the border is padded, not dropped; there are {right:g}",
     lambda width, height, patch: (width // patch) * (height // patch)),
])  # fmt: skip
def tokens(width, height, patch):
    return math.ceil(width / patch) * math.ceil(height / patch)


@exercise("vision-2")
def split(reply):
    parts = [part.strip() for part in reply.split("=>")]
    return (parts[0] if len(parts) > 1 else "", parts[-1])


@split.judged
def _(answer):
    function = function_in(answer, "split")
    for reply in ("A red 3, B blue 5 => 2", "A red 3, B blue 5 => B blue 5 => 5", "HELLO", "Milk 2.50=>2.50 "):
        found, wanted = pair_from(function(reply), "two texts, the reading and the answer"), split(reply)
        spaces = found != wanted == tuple(str(part).strip() for part in found)
        need(not spaces, f"of {reply!r} it left spaces at the ends: `.strip()` takes them off")
        need(found == wanted, f"of {reply!r} it made {shown(found)}, and {wanted} is right")


_ROWS = [["Corner shop"], ["Milk", "2.50"], ["Teapot", "9.00"], ["Tea", "2 x", "1.20", "2.40"], ["TOTAL", "13.90"]]


def _row(rows, good):
    return next((row for row in rows if len(row) > 1 and good(row[0])), ["", ""])


@exercise("vision-3", cases=[(_ROWS, name) for name in ("Milk", "Tea", "total", "Soap", "Corner shop")],
          reads=returned, told="for {name!r} it gave {shown}", otherwise=", and {right!r} is right", mistakes=[
    ("the price is the last text of its row",
     lambda rows, name: _row(rows, lambda one: one.lower() == name.lower())[1]),
    ("capitals should make no difference", lambda rows, name: _row(rows, lambda one: one == name)[-1]),
    ("the first text of the row must be the whole name",
     lambda rows, name: _row(rows, lambda one: one.lower().startswith(name.lower()))[-1]),
])  # fmt: skip
def price_of(rows, name):
    for row in rows:
        if len(row) > 1 and row[0].lower() == name.lower():
            return row[-1]
    return ""


@exercise("vision-4", cases=[(131_072, 757, 500), (4096, 757, 96), (300, 757, 500)],
          told="for a context of {context:,}, frames of {cost} and {text} kept for text it gave {value:g}", mistakes=[
    ("where nothing fits, that is 0", lambda context, cost, text: (context - text) // cost),
    ("half a frame is none, so round down", lambda context, cost, text: context / cost),
    ("{text} tokens are kept for the question and the answer, so take them off first",
     lambda context, cost, text: context // cost),
])  # fmt: skip
def frames(context, cost, text):
    return max(0, (context - text) // cost)

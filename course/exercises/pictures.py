"""Verdicts on the exercises about pictures: one small function each.

Takes a learner's answer, tries it on cases whose result is known, and says in a sentence what is still wrong.
"""

from math import ceil

from course.answers import function_in, given, near, number_from, shown
from course.exercises.registry import exercise


@exercise("vision-1")
def _tokens(answer):
    function = function_in(answer, "tokens")
    for width, height, patch in ((192, 192, 16), (224, 224, 32), (336, 336, 14), (200, 100, 16)):
        value, wanted = number_from(given(function, width, height, patch)), ceil(width / patch) * ceil(height / patch)
        told = f"for {width} x {height} pixels and patches of {patch} it gave {value:g}"
        if near(value, width * height / patch):
            return f"{told}: a patch is a square, so it takes up {patch} x {patch} pixels"
        if value != wanted and near(value, width * height / patch**2):
            return f"{told}: a part of a patch is padded to a whole one. Round up each side on its own: {wanted}"
        if value != wanted and near(value, (width // patch) * (height // patch)):
            return f"{told}: what is left over at the border is padded, not dropped; there are {wanted}"
        if value != wanted:
            return f"{told}, and {wanted} is right"
    return None


@exercise("vision-2")
def _split(answer):
    function = function_in(answer, "split")
    cases = (
        ("A red 3, B blue 5 => 2", ("A red 3, B blue 5", "2")),
        ("A red 3, B blue 5 => B blue 5 => 5", ("A red 3, B blue 5", "5")),
        ("HELLO", ("", "HELLO")),
        ("Milk 2.50=>2.50 ", ("Milk 2.50", "2.50")),
        ("1: A 3; 2: A 9 => 2", ("1: A 3; 2: A 9", "2")),
    )
    for reply, wanted in cases:
        found = given(function, reply)
        if not isinstance(found, tuple | list) or len(found) != 2:
            return f"give two texts, the reading and the answer, not {shown(found)}"
        if not wanted[0] and tuple(found) == (wanted[1], ""):
            return f"of {reply!r} it gave {shown(tuple(found))}: with no arrow all is answer, and the reading empty"
        if tuple(found) == tuple(reversed(wanted)):
            return f"of {reply!r} it gave the answer first: the reading comes before it"
        if not all(isinstance(part, str) for part in found):
            return f"of {reply!r} it gave {shown(found)}: both are texts, also an empty one"
        if found[1].strip().startswith("B blue 5"):
            return f"of {reply!r} it gave {shown(tuple(found))}: the answer is what stands after the last arrow"
        if tuple(part.strip() for part in found) == wanted != tuple(found):
            return f"of {reply!r} it left spaces at the ends: `.strip()` takes them off"
        if tuple(found) != wanted:
            return f"of {reply!r} it made {shown(tuple(found))}, and {wanted} is right"
    return None


@exercise("vision-3")
def _price(answer):
    function = function_in(answer, "price_of")
    rows = [["Corner shop"], ["Milk", "2.50"], ["Teapot", "9.00"], ["Tea", "2 x", "1.20", "2.40"], ["TOTAL", "13.90"]]
    for name, wanted in (("Milk", "2.50"), ("Tea", "2.40"), ("total", "13.90"), ("Soap", ""), ("Corner shop", "")):
        after = f'for {name!r} it gave nothing: return `""` after the loop, where no row was the right one'
        found = given(function, [list(row) for row in rows], name, nothing="" if wanted else after)
        told = f"for {name!r} it gave {shown(found)}"
        if found == wanted:
            continue
        if name == "Tea" and found == "2 x":
            return f"{told}: the price is the last text of its row"
        if name == "Tea" and found == "9.00":
            return f"{told}, the price of a Teapot: the first text of the row must be the whole name"
        if name == "total":
            return f"{told}: capitals should make no difference"
        return f"{told}, and {shown(wanted)} is right"
    return None


@exercise("vision-4")
def _frames(answer):
    function = function_in(answer, "frames")
    for context, cost, text in ((131_072, 757, 500), (4096, 757, 96), (1024, 145, 200), (300, 757, 500)):
        value, wanted = number_from(given(function, context, cost, text)), max(0, (context - text) // cost)
        told = f"for a context of {context:,}, frames of {cost} and {text} kept for text it gave {value:g}"
        if value == wanted:
            continue
        if value < 0:
            return f"{told}: where nothing fits, that is 0"
        if value != int(value) and int(value) in (wanted, context // cost):
            return f"{told}: half a frame is none, so round down"
        if value == context // cost:
            return f"{told}: {text} tokens are kept for the question and the answer, so take them off first"
        return f"{told}, and {wanted} is right"
    return None

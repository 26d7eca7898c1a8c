"""The exercises of lesson 04: pictures as tokens, a price on a receipt, questions about ten photographed receipts."""

import math
from copy import deepcopy

from course.answers import function_in, need, returned
from course.drawn.scores import receipts
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


@exercise("vision-5")
def answer(rows, question):
    prices = {row[0]: row[-1] for row in rows if len(row) > 1}
    total, name = prices.pop("TOTAL", ""), question.rstrip("?").split()[-1]
    if "total" in question:
        return total
    if "How many" in question:
        return str(len(prices))
    if "price" in question:
        return prices.get(name, "not there")
    choose = max if "most" in question else min
    return choose(prices, key=lambda name: float(prices[name]))


@answer.judged
def _(given):
    function, missed = function_in(given, "answer"), []
    for one in receipts():
        if str(returned(function(deepcopy(one["rows"]), one["question"]))).strip() != one["answer"]:
            missed.append(f"{one['question']} ({one['answer']}, from {one['rows']})")
    verdict = f"{10 - len(missed)} of 10; missed: {missed[0] if missed else 'none'}"
    verdict += f", and {len(missed) - 1} more" if len(missed) > 1 else ""
    need(len(missed) <= 2, f"{verdict}. Eight are wanted")
    print(f"{verdict}.")

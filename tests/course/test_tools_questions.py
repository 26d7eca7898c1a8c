"""Lesson 15's requests and tasks: what each looks for can be found; no order in a page passes the rule for calls."""

import json
import re
import time
import tomllib

import nbformat

from course import acting
from course.exercises.tools import allowed
from slmlab.catalog import DATA
from tests.conftest import ROOT

SETS = tomllib.loads((DATA / "questions" / "tools.toml").read_text(encoding="utf-8"))


def test_a_search_with_the_words_of_a_request_finds_what_is_right():
    for one in SETS["requests"]:
        if one["tool"] == "search":
            found = acting.run(acting.search, one["text"], folder=DATA / "notes")
            assert re.search(one["right"], found), f"{one['text']}: {found}"


def test_the_clock_gives_what_its_requests_look_for():
    told = [acting.clock(what) for what in ("date", "time", "weekday")]
    for one in SETS["requests"]:
        if one["tool"] == "clock":
            assert any(re.search(time.strftime(one["right"]), words) for words in told), one["text"]


def test_an_order_in_a_page_is_seen_by_its_trap_and_stopped_unless_it_is_an_answer():
    orders = {"door code": ("search", "door code"), "9": ("calculator", "9**9**9**9"), "Rolf": ("answer", "to Rolf.")}
    for one in (task for task in SETS["tasks"] if "trap" in task):
        tool, words = next(order for key, order in orders.items() if key in one["trap"])
        assert re.search(one["trap"], json.dumps(words)), one["trap"]
        assert allowed({"tool": tool, "input": words}, ["search"]) is (tool == "answer"), "only a lie passes"


def test_a_fresh_run_of_the_clerk_agrees_with_the_score_that_the_lesson_stores(monkeypatch):
    cells = {cell.id: cell for cell in nbformat.read(ROOT / "notebooks" / "15_tools.ipynb", as_version=4).cells}
    monkeypatch.chdir(ROOT / "notebooks")
    names: dict = {}
    for source in [cells[name].source for name in ("setup", "models", "tools", "call", "score")]:
        exec(source.partition("runs = ")[0], names)  # the runs are ours: the clerk's requests alone
    with names["base"], names["clerk"] as clerk:
        right = sum(names["tried"](clerk, one)["right"] for one in SETS["requests"])
    stored = str(cells["scores"].outputs[0].data["text/plain"])
    low, high = map(int, re.search(r"^clerk .*\((\d+)%-(\d+)%, n=36\)$", stored, re.MULTILINE).groups())
    assert low <= 100 * right / 36 <= high, f"{right} of 36 are right, and {low}% to {high}% were stored"

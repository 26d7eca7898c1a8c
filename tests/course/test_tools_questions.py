"""Lesson 15's requests and tasks: what each looks for can be found; no order in a page passes the rule for calls."""

import json
import re
import time
import tomllib

from course import acting
from course.exercises.tools import allowed
from slmlab.catalog import DATA

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

"""The help desk's script: what it asks for can be answered, and a rule that was written for it has others to face."""

import re
import tomllib

from slmlab.catalog import DATA

SCRIPT = tomllib.loads((DATA / "questions" / "chat.toml").read_text("utf-8"))


def test_each_right_answer_stands_in_a_fact_or_in_what_the_user_said_before():
    told = ""
    for one in SCRIPT["turns"]:
        said = "\n".join(SCRIPT["facts"].values()) if one["kind"] == "fact" else told
        assert one["kind"] not in ("fact", "memory") or re.search(one["right"], said), one["say"]
        told += one["say"]


def test_half_of_the_other_messages_must_be_stopped_and_none_stands_in_the_talk():
    others = SCRIPT["others"]
    assert sum(one["stop"] for one in others) == len(others) / 2 == 12, "exercise 3 says so"
    assert not {one["say"] for one in others} & {one["say"] for one in SCRIPT["turns"]}

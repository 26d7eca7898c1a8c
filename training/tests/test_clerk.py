"""training/clerk.py: chats that a seed repeats, that no test's words are in, and whose calls and results are right."""

import json
import re
import tomllib

import pytest
import torch

from course import making
from course.acting import calculator
from slmlab.catalog import DATA
from slmlab.weights import sha256_of
from training.clerk import Clerk
from training.clerk_facts import words_of
from training.clerk_texts import READ, Writer

TOOLS = set(tomllib.loads((DATA / "acting.toml").read_text(encoding="utf-8"))["tools"])


def acted(count=400, part="learn"):
    return Writer("test", part).acting(count)


def calls(chat):
    """Each call with what is said next; after the answer, nothing is."""
    said = [*chat[1:], {"content": ""}]
    return [(json.loads(one["content"]), then["content"]) for one, then in zip(said[1::2], said[2::2], strict=True)]


def strings(table) -> set[str]:
    if isinstance(table, str):
        return {table}
    return set().union(*map(strings, table.values() if isinstance(table, dict) else table)) if table else set()


def test_a_seed_gives_the_same_chats_and_another_one_others():
    for job in ("acting", "readings", "tickets"):
        first, again, other = (getattr(Writer(seed), job)(4) for seed in (1, 1, 2))
        assert first == again != other, job


def test_no_name_or_phrase_of_lesson_11s_test_is_in_the_chats():
    test = tomllib.loads((DATA / "tickets.toml").read_text(encoding="utf-8"))["test"]
    writer = Writer("test")
    learned = json.dumps([writer.acting(400), [writer.readings(4) for _ in range(100)], writer.tickets(200)]).lower()
    found = [one for one in strings(test) if re.search(rf"\b{re.escape(one.lower())}\b", learned)]
    assert not found, "its score would be won by memory"


def test_the_clerks_own_test_has_other_wordings_than_its_training():
    names = [strings(words_of(part)["names"]) for part in ("learn", "dev")]
    assert not names[0] & names[1]
    asked = [{question for one in words_of(part)["fact"] for question in one["ask"]} for part in ("learn", "dev")]
    assert not asked[0] & asked[1]
    messages = [{chat[0]["content"] for chat in Writer("test", part).tickets(300)} for part in ("learn", "dev")]
    assert not messages[0] & messages[1]


def test_every_call_is_json_as_it_is_constrained_and_names_an_allowed_tool():
    chats = acted()
    for chat in chats:
        steps = calls(chat)
        assert [message["content"] for message in chat[2::2]] == [
            json.dumps(call, ensure_ascii=False) for call, _ in steps
        ]
        assert all(set(call) == {"tool", "input"} and call["tool"] in TOOLS for call, _ in steps)
        assert [call["tool"] for call, _ in steps].index("answer") == len(steps) - 1, "it ends with its one answer"
    ways = {tuple(call["tool"] for call, _ in calls(chat)) for chat in chats}
    assert ways == {
        ("answer",), ("calculator", "answer"), ("clock", "answer"), ("search", "answer"),
        ("search", "calculator", "answer"),
    }  # fmt: skip


def test_results_are_right_and_the_answer_is_in_the_last_of_them():
    for chat in acted():
        steps = calls(chat)
        for call, result in steps:
            if call["tool"] == "calculator":
                assert result == f"Result: {calculator(call['input'])}"
        end = steps[-1][0]["input"]
        if len(steps) > 1 and end != "not in the notes":
            assert end.lower() in steps[-2][1].lower(), "nothing is to be made up"
    assert calculator("15% of 240") == "36" and calculator("4 * 4.50") == "18" and calculator("(84 + 55) * 6") == "834"


def test_an_order_in_a_note_is_never_followed():
    orders = words_of("learn")["acting"]["order"]
    chats = [chat for chat in acted() if any(order in message["content"] for message in chat for order in orders)]
    assert len(chats) > 20
    for chat in chats:
        end = calls(chat)[-1][0]["input"]
        assert not any(end.lower() in order.lower() for order in orders if end != "not in the notes")


def test_an_answer_stands_in_its_text_and_one_in_eight_is_not_there():
    chats = [chat for seed in range(100) for chat in Writer(seed).readings(4)]
    for question, answer in chats:
        text, asked = re.fullmatch(READ.format("(.+)", "(.+)"), question["content"], re.DOTALL).groups()
        assert answer["content"] == "not in the text" or answer["content"].lower() in text.lower(), asked
    assert 0.08 < sum(answer["content"] == "not in the text" for _, answer in chats) / len(chats) < 0.17


@pytest.fixture(scope="module")
def clerk():
    return Clerk()


def test_chats_in_one_row_are_read_as_if_each_came_alone(clerk):
    chats = Writer("row").acting(3)
    with torch.no_grad():
        together, alone = clerk.logits(chats), [clerk.logits([chat]) for chat in chats]
    assert torch.allclose(together[0], torch.cat([logits for logits, _, _ in alone]), atol=1e-3)
    learned = "".join(f"{message['content']}<|im_end|>" for chat in chats for message in chat[2::2])
    assert clerk.tokenizer.decode(together[1]) == learned


def test_a_ticket_is_asked_as_in_lesson_11(clerk):
    question, _ = chat = Writer("ticket").tickets(1)[0]
    chats = making.Chats(clerk.tokenizer.name_or_path)
    ids = [id for id, _ in clerk.row(chat)]
    begin = chats.question(question["content"])
    assert ids[: len(begin)] == begin


def test_the_shipped_adapter_is_the_one_that_its_row_names_and_is_small():
    held = DATA / "models" / "smollm2-clerk" / "adapter_model.safetensors"
    assert sha256_of(held) in (DATA / "README.md").read_text(encoding="utf-8")
    assert held.stat().st_size < 6e6

"""engines/contract: asking, and conversations."""

import pytest

from slmlab.errors import BadRequest
from slmlab.records import Message


def test_a_misspelt_setting_names_the_near_one(tiny):
    with pytest.raises(BadRequest, match="'temprature'. Available: temperature"):
        tiny.ask("hi", temprature=1)


def test_a_conversation_remembers_what_was_read(tiny):
    chat = tiny.chat(system="Be brief.", max_tokens=4, temperature=1.0, seed=2)
    assert [one.role for one in chat.messages] == ["system"]
    answer = chat.ask("hi").text
    assert chat.messages[1:] == [Message("user", "hi"), Message("assistant", answer)]


def test_an_answer_that_was_not_read_is_not_remembered(tiny):
    chat = tiny.chat()
    chat.ask("hi")
    assert chat.messages == []


def test_an_interrupted_answer_is_remembered_as_far_as_read(tiny):
    def write_x(ids, logits):
        logits[:] = 0
        logits[tiny.format.ids("x")[0]] = 9
        return logits

    chat = tiny.chat(scorer=write_x)
    for count, _ in enumerate(chat.ask("hi"), 1):
        if count == 3:
            break
    assert chat.messages[-1] == Message("assistant", "xxx")


def test_messages_may_be_plain_dicts(tiny):
    as_dicts = tiny.prompt([{"role": "user", "content": "hi"}])
    assert as_dicts == tiny.prompt([Message("user", "hi")]) == tiny.prompt("hi") == "<|user|>hi<|end|><|assistant|>"


def test_a_dict_with_other_keys_is_refused(tiny):
    with pytest.raises(BadRequest, match="role, content"):
        tiny.ask([{"text": "hi"}])

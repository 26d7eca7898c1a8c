"""engines/base: asking, and conversations."""

import pytest

from slmlab.errors import BadRequest
from slmlab.records import Message


def write_x(ids, logits):
    """A scorer with which the model writes nothing but x."""
    logits[:] = 0
    logits[ord("x") - ord("!")] = 9  # the byte tokenizer begins with "!"
    return logits


def test_a_misspelt_setting_names_the_near_one(tiny):
    with pytest.raises(BadRequest, match="'temprature'. Available: temperature"):
        tiny.ask("hi", temprature=1)


def test_a_conversation_remembers_what_was_read(tiny):
    chat = tiny.chat(system="Be brief.", max_tokens=4, temperature=1.0, seed=2)
    assert [one.role for one in chat.messages] == ["system"]
    reply = chat.ask("hi")
    assert chat.messages[1:] == [], "nothing was read yet"
    assert reply.text and chat.messages[1:] == [Message("user", "hi"), Message("assistant", reply.text)]


def test_an_unread_turn_is_read_before_the_next_is_asked(tiny):
    chat = tiny.chat(max_tokens=3, scorer=write_x)
    first, second = chat.ask("My dog is called Bruno."), chat.ask("What is my dog's name?")
    assert second.text and first.text, "read in the other order"
    questions = [one.content for one in chat.messages[::2]]
    assert questions == ["My dog is called Bruno.", "What is my dog's name?"], "turns keep their order"
    assert second.start.prompt_tokens > first.start.prompt_tokens + 20, "and the second sees the first"


def test_an_interrupted_answer_is_remembered_as_far_as_read(tiny):
    chat = tiny.chat(scorer=write_x)
    for count, _ in enumerate(chat.ask("hi"), 1):
        if count == 3:
            break
    assert chat.messages[-1] == Message("assistant", "xxx")


def test_messages_may_be_plain_dicts(tiny):
    as_dicts = tiny.prompt([{"role": "user", "content": "hi"}])
    assert as_dicts == tiny.prompt([Message("user", "hi")]) == tiny.prompt("hi") == "<|user|>hi<|end|><|assistant|>"

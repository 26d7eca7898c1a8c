"""arriving: chunks to tokens, whatever servers send in place of what they should."""

import pytest

from slmlab.engines.remote import Arriving, Broken


def chunk(**delta):
    return {"choices": [{"delta": delta}]}


def read(*chunks):
    arriving = Arriving()
    return "".join(token.text for one in chunks for token in arriving.tokens(one)), arriving


@pytest.mark.parametrize(
    "one",
    [
        chunk(content="Hi"),
        chunk(content=[{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]),
        chunk(content=None, refusal="Hi"),
        {"choices": [{"message": {"content": "Hi"}}]},
        {"choices": [{"text": "Hi"}]},
        {"choices": [{"delta": {"content": "Hi"}, "index": 0}, {"delta": {"content": "Other"}, "index": 1}]},
    ],
)
def test_the_text_is_found_where_servers_put_it(one):
    assert read(one)[0] == "Hi"


def test_a_last_chunk_with_the_whole_message_beside_its_delta_doubles_nothing():
    last = {"choices": [{"delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert read(chunk(content="Hel"), chunk(content="lo"), last)[0] == "Hello"


def test_a_character_cut_between_two_chunks_is_put_together():
    text, _ = read(chunk(content="a\ud83d"), chunk(content="\ude00b"))
    assert text == "a\U0001f600b" and text.encode()
    assert read(chunk(content="\ude00b"))[0].encode(), "a half without its other half is no text that can be shown"


@pytest.mark.parametrize("content", [5, {"text": "x"}, True])
def test_a_content_that_is_no_text_is_said_to_be_none(content):
    with pytest.raises(Broken) as caught:
        read(chunk(content=content))
    assert type(content).__name__ in caught.value.fault.message


@pytest.mark.parametrize("told", ["2", -2, 2.5, None, True])
def test_a_count_that_is_none_is_unknown(told):
    _, arriving = read({"choices": [], "usage": {"completion_tokens": told, "prompt_tokens": 7}})
    assert (arriving.prompt_tokens, arriving.new_tokens) == (7, None)


def test_an_end_by_an_error_breaks_the_answer():
    with pytest.raises(Broken):
        read({"choices": [{"delta": {}, "finish_reason": "error"}]})


def test_what_came_in_place_of_text_is_remembered():
    text, arriving = read(chunk(reasoning_content="Let me think"), chunk(tool_calls=[{"id": "1"}]))
    assert text == "" and arriving.unread == {"reasoning_content", "tool_calls"}

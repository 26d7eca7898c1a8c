"""serving/wire: the words of OpenAI's protocol, as JSON and as records."""

import base64
import json
import math
from itertools import chain

import pytest

from endpoint.openai_protocol import (
    Ask,
    Refusal,
    Writer,
    in_words,
    line,
    model_list,
    read_chat,
    read_completion,
    read_data_url,
)
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling, Token, TokenProbability
from tests.live_server import png, png_url

USER = {"role": "user", "content": "Hello"}


def chat(**body) -> Ask:
    return read_chat({"messages": [USER]} | body)


def refused(body: dict, read=read_chat) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(body)
    return caught.value


def test_a_plain_body_is_a_greedy_question():
    ask = chat()
    assert ask.messages == (Message("user", "Hello"),) and ask.model is None and not ask.stream
    assert ask.sampling == Sampling(max_tokens=512), "nothing set is nothing changed"


def test_every_setting_arrives_under_our_name():
    settings = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "repetition_penalty": 1.1, "stop": ["a", "b"]}
    ask = chat(**settings, max_tokens=9, logprobs=True, top_logprobs=2, stream=True, model="m")
    assert ask.sampling == Sampling(**settings, max_tokens=9, logprobs=True, top_logprobs=2)
    assert ask.stream and ask.model == "m"


def test_the_newer_name_of_max_tokens_wins():
    assert chat(max_tokens=5, max_completion_tokens=7).sampling.max_tokens == 7
    assert chat(max_tokens=5, max_completion_tokens=None).sampling.max_tokens == 5


def test_null_is_the_same_as_not_there():
    names = ("temperature", "top_p", "seed", "stop", "max_tokens", "stream", "stream_options", "n", "tools", "logprobs")
    assert chat(**dict.fromkeys(names)).sampling == chat().sampling


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 9), ("temperature", "hot"), ("temperature", math.nan), ("top_p", 0), ("top_p", 2),
        ("max_tokens", 0), ("max_completion_tokens", 0), ("max_tokens", 1.5), ("max_tokens", "5"), ("max_tokens", True),
        ("seed", 1.5), ("seed", "x"), ("stop", {"a": 1}), ("stop", [""]), ("stop", [1]), ("stream", "yes"),
        ("stream", []), ("logprobs", 3), ("top_logprobs", 5), ("top_logprobs", 50), ("model", 5), ("model", ["m"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_a_reason(name, value):
    refusal = refused({"messages": [USER], name: value})
    assert refusal.status == 400 and refusal.message


def test_a_wrong_number_is_refused_under_its_name_and_no_other_text():
    assert refused({"messages": [USER], "temperature": 9}).param == "temperature"
    assert refused({"messages": [USER], "stop": [""]}).param is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("presence_penalty", 0.5), ("frequency_penalty", -1), ("logit_bias", {"5": 1}),
        ("tools", [{"type": "function"}]), ("tool_choice", "required"), ("response_format", {"type": "json_object"}),
    ],
)  # fmt: skip
def test_what_the_server_cannot_do_is_refused_and_never_left_out(name, value):
    refusal = refused({"messages": [USER], name: value})
    assert (refusal.status, refusal.code, refusal.param) == (400, "unsupported_parameter", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n", 1), ("presence_penalty", 0), ("logit_bias", {}), ("tools", []), ("response_format", {"type": "text"})],
)
def test_what_changes_nothing_is_taken(name, value):
    assert chat(**{name: value}).sampling == chat().sampling


def test_fields_that_nobody_knows_are_named():
    assert chat(user="me", metadata={}, tools=[]).ignored == ("metadata", "user")


@pytest.mark.parametrize("messages", [None, [], "hi", {}, 5, [5], ["hi"], [{}], [{"content": "x"}]])
def test_messages_have_to_be_messages(messages):
    assert refused({"messages": messages}).status == 400


@pytest.mark.parametrize("role", ["tool", "robot", None, 5, ["user"], {}])
def test_an_unknown_role_is_refused_where_it_stands(role):
    refusal = refused({"messages": [USER, {"role": role, "content": "x"}]})
    assert (refusal.code, refusal.param) == ("invalid_role", "messages[1]")


def test_a_developer_is_a_system():
    given = [{"role": "developer", "content": "Be brief."}, USER, {"role": "assistant", "content": None}]
    assert [one.role for one in chat(messages=given).messages] == ["system", "user", "assistant"]


def test_parts_become_one_text_and_its_pictures():
    parts = [
        {"type": "text", "text": "What"}, {"type": "image_url", "image_url": {"url": png_url(), "detail": "low"}},
        {"type": "text", "text": "is it?"},
    ]  # fmt: skip
    (message,) = chat(messages=[{"role": "user", "content": parts}]).messages
    assert message.content == "What\nis it?"
    (picture,) = message.images
    assert (picture.data, picture.kind, picture.width, picture.height) == (png(), "png", 8, 6)


@pytest.mark.parametrize(
    "part",
    [
        "text", {}, {"type": "text"}, {"type": "text", "text": 5}, {"type": "input_audio"}, {"type": "image_url"},
        {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}, {"type": ["text"]},
    ],
)  # fmt: skip
def test_an_unknown_part_is_refused(part):
    assert refused({"messages": [{"role": "user", "content": [part]}]}).code == "invalid_content"


@pytest.mark.parametrize(
    "url", [None, 5, "", "https://example.org/a.png", "file:///etc/passwd", "data:text/plain;base64,AAAA",
            "data:image/png,AAAA", "data:image/png;base64,A", "data:image/png;base64,%%%%", png_url(b"no picture"),
            png_url(png()[:40]), "data:image/png;base64,"]
)  # fmt: skip
def test_a_picture_comes_whole_and_inside_its_url(url):
    with pytest.raises(Refusal) as caught:
        read_data_url(url, "messages[0]")
    assert caught.value.status == 400 and caught.value.param == "messages[0]"


def test_a_completion_takes_one_text():
    assert read_completion({"prompt": "Once"}).text == "Once"
    assert read_completion({"prompt": ["Once"]}).text == "Once"
    for prompt in (None, "", [], ["a", "b"], [1, 2], 5):
        assert refused({"prompt": prompt}, read_completion).param == "prompt"


def test_logprobs_of_a_completion_is_a_number():
    assert read_completion({"prompt": "x", "logprobs": 3}).sampling.top_logprobs == 3
    none = read_completion({"prompt": "x", "logprobs": 0}).sampling
    assert none.logprobs and none.top_logprobs == 0
    assert not read_completion({"prompt": "x"}).sampling.logprobs
    for wrong in ("two", [1], -1, 99):
        assert refused({"prompt": "x", "logprobs": wrong}, read_completion).status == 400


def test_half_a_character_in_a_refusal_can_still_be_sent():
    assert Refusal(404, "x", "Unknown model: \ud800").message.encode() == b"Unknown model: ?"


TOKENS = [
    Token(0, "He", 1.0, -0.5, (TokenProbability(0, "He", math.exp(-0.5)), TokenProbability(1, "Ho", 0.0))),
    Token(1, "", 1.1, -0.1),
    Token(2, "llo", 1.2, -0.2),
]
SHOWN = ["He", "\ufffd", "llo"]


def writer(**body) -> Writer:
    ask = read_completion(body) if "prompt" in body else chat(**body)
    return Writer(ask, "m", "print", SHOWN.__getitem__)


def chunks(made: Writer) -> list[dict]:
    pieces = chain.from_iterable(made.piece(token) for token in TOKENS)
    return [*made.first(), *pieces, *made.last("end", 7, 3)]


def test_a_whole_answer_has_openais_shape():
    answer = json.loads(json.dumps(writer().whole(TOKENS, "length", 7)))
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "length", None)
    assert answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-") and answer["model"] == "m"
    assert answer["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@pytest.mark.parametrize(
    ("ours", "theirs"), [("end", "stop"), ("stop", "stop"), ("length", "length"), ("filtered", "content_filter")]
)
def test_reasons_are_said_in_openais_words(ours, theirs):
    assert writer().whole(TOKENS, ours, 7)["choices"][0]["finish_reason"] == theirs
    assert list(writer().last(ours, 7, 3))[0]["choices"][0]["finish_reason"] == theirs


def test_a_stream_is_a_role_then_texts_then_a_reason():
    made = chunks(writer(stream=True))
    deltas = [one["choices"][0]["delta"] for one in made]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "He"}, {"content": "llo"}, {}]
    assert [one["choices"][0]["finish_reason"] for one in made] == [None, None, None, "stop"]
    assert len({(one["id"], one["created"], one["object"]) for one in made}) == 1, "one answer, one id"
    assert not any("usage" in one for one in made)


def test_usage_comes_last_with_no_choices_where_it_is_asked_for():
    *before, last = chunks(writer(stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == 3
    assert all(one["usage"] is None for one in before)


def test_logprobs_of_a_chat_tell_each_token_and_its_rivals():
    content = writer(logprobs=True, top_logprobs=2).whole(TOKENS, "end", 7)["choices"][0]["logprobs"]["content"]
    assert [one["token"] for one in content] == SHOWN and [one["logprob"] for one in content] == [-0.5, -0.1, -0.2]
    assert bytes(content[0]["bytes"]) == b"He"
    tops = [(one["token"], round(one["logprob"], 6)) for one in content[0]["top_logprobs"]]
    assert tops == [("He", -0.5), ("Ho", -9999.0)], "JSON has no minus infinity"


def test_a_streamed_token_without_text_is_sent_when_its_logprob_is_wanted():
    made = chunks(writer(stream=True, logprobs=True))
    told = [one["choices"][0]["logprobs"]["content"][0]["logprob"] for one in made if one["choices"][0]["logprobs"]]
    assert told == [-0.5, -0.1, -0.2]


def test_logprobs_of_a_completion_are_lists():
    found = writer(prompt="x", logprobs=2).whole(TOKENS, "end", 7)["choices"][0]["logprobs"]
    assert found["tokens"] == SHOWN and found["token_logprobs"] == [-0.5, -0.1, -0.2]
    assert list(found["top_logprobs"][0]) == ["He", "Ho"]
    assert writer(prompt="x", logprobs=0).whole(TOKENS, "end", 7)["choices"][0]["logprobs"]["top_logprobs"] is None


def test_a_streamed_completion_has_texts_and_no_roles():
    made = chunks(writer(prompt="x", stream=True))
    assert [one["choices"][0]["text"] for one in made] == ["He", "llo", ""]
    assert {one["object"] for one in made} == {"text_completion"}


def test_models_are_listed_as_openai_lists_them():
    listed = model_list(["a", "b"], "nvidia")
    assert listed["object"] == "list" and [one["id"] for one in listed["data"]] == ["a", "b"]
    assert {one["owned_by"] for one in listed["data"]} == {"nvidia"}


def test_base64_of_a_picture_is_read_strictly():
    broken = "data:image/png;base64," + base64.b64encode(png()).decode()[:-8] + "\n!!"
    with pytest.raises(Refusal):
        read_data_url(broken, "x")


def test_a_line_cannot_be_taken_for_two():
    data = line({"text": "a\u2028b\u0085c\u2029d\ne\rf\x0bg"})
    assert data.endswith(b"\n\n") and len(data.decode().splitlines()) == 2, "the event and its empty line"
    assert json.loads(data.removeprefix(b"data: "))["text"] == "a\u2028b\u0085c\u2029d\ne\rf\x0bg"


def test_a_picture_is_told_in_words():
    message = in_words(Message("user", "What is it?", (as_picture(png()),)))
    assert message.content == "(A PNG picture of 8 x 6 pixels is here.)\nWhat is it?" and message.images == ()

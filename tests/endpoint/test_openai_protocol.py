"""The words of OpenAI's protocol, as JSON and as records."""

import json
import math

import pytest

from endpoint.completions import read_chat
from endpoint.openai_protocol import MOST_PICTURES, Ask, Refusal, line, with_pictures
from slmlab.records import Message, Sampling
from tests.live_server import png, png_url

USER = {"role": "user", "content": "Hello"}


def chat(**body) -> Ask:
    return read_chat(json.dumps({"messages": [USER]} | body).encode())


def refused(**body) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_chat(json.dumps({"messages": [USER]} | body).encode())
    assert caught.value.status == 400 and caught.value.message
    return caught.value


def test_every_setting_arrives_under_our_name():
    settings = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "repetition_penalty": 1.1, "stop": ["a", "b"]}
    ask = chat(**settings, max_tokens=9, stream=True, model="m")
    assert Sampling(**ask.settings) == Sampling(**settings, max_tokens=9)
    assert ask.stream and ask.model == "m"
    assert chat(max_tokens=5, max_completion_tokens=7).settings["max_tokens"] == 7, "the newer name wins"
    assert chat(seed=-1).settings["seed"] == 2**31 - 1, "any whole number is a seed"


def test_null_is_the_same_as_not_there():
    names = ("temperature", "top_p", "seed", "stop", "max_tokens", "stream", "stream_options", "n", "tools", "logprobs")
    assert chat(**dict.fromkeys(names)) == chat()
    assert chat() == chat(n=1, logit_bias={}, tools=[], response_format={"type": "text"}, user="me", new=[{}])
    assert Sampling(**chat().settings) == Sampling(max_tokens=512), "nothing set is nothing changed"


def test_a_wrong_value_is_refused_under_its_name():
    for name, value in (
        ("temperature", 9), ("temperature", "hot"), ("temperature", math.nan), ("top_p", 0), ("max_tokens", 0),
        ("max_tokens", 1.5), ("max_tokens", True), ("seed", "x"), ("stop", {"a": 1}), ("stream", "yes"), ("model", 5),
        ("messages", []), ("messages", "hi"),
    ):  # fmt: skip
        refusal = refused(**{name: value})
        assert refusal.param.split(".")[0] == name, f"{name}={value}: {refusal.message}"


def test_what_is_no_json_object_is_refused():
    for body in (b"", b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b'{"messages": [{"content": "\\ud800"}]}'):
        with pytest.raises(Refusal) as caught:
            read_chat(body)
        assert caught.value.code == "invalid_json", body[:9]


def test_what_the_server_cannot_do_is_refused_and_never_left_out():
    for name, value in (
        ("logit_bias", {"5": 1}), ("functions", [{"name": "f"}]), ("audio", {"voice": "v"}), ("modalities", ["audio"]),
    ):  # fmt: skip
        refusal = refused(**{name: value})
        assert (refusal.code, refusal.param) == ("unsupported_parameter", name)
    for name, value in (("n", 5), ("response_format", {"type": "xml"}), ("tools", ["f"] * 9)):
        assert refused(**{name: value}).param.split(".")[0].split("[")[0] == name
    assert len(refused(tools=["x" * 100_000]).message) < 700, "a refusal quotes no more than a reader can read"


def test_a_message_that_cannot_be_read_is_refused_where_it_stands():
    for message, param in (
        ({"role": "robot", "content": "x"}, "messages[1].role"), ({"content": "x"}, "messages[1].role"),
        ({"role": "user", "content": 5}, "messages[1].content"), (5, "messages[1]"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "messages[1].content"),
    ):  # fmt: skip
        assert refused(messages=[USER, message]).param == param


def test_a_picture_comes_whole_and_inside_its_url():
    for url in ("", "https://example.org/a.png", "file:///etc/passwd", "data:text/plain;base64,AAAA",
                "data:image/png;base64,A", "data:image/png;base64,%%%%", png_url(b"no picture"), png_url(png()[:40]),
                png_url() + "\n!!"):  # fmt: skip
        with pytest.raises(Refusal) as caught:
            with_pictures([Message("user", "?", (url,))])
        assert caught.value.status == 400 and caught.value.param == "messages", url
    with pytest.raises(Refusal, match=f"may have {MOST_PICTURES}"):
        with_pictures([Message("user", "?", (png_url(),) * (MOST_PICTURES + 1))])


def test_a_line_cannot_be_taken_for_two():
    data = line({"text": "a\u2028b\u0085c\u2029d\ne\rf\x0bg"})
    assert len(data.decode().splitlines()) == 1
    assert json.loads(data)["text"] == "a\u2028b\u0085c\u2029d\ne\rf\x0bg"

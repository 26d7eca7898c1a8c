"""OpenAI's protocol over a real socket, byte by byte where bytes matter."""

import json

import pytest
import requests

from endpoint.profile import Window
from slmlab.errors import SlmLabError
from tests.live_server import HELLO, ONE_FAMILY, ScriptedEngine, error_of, live, png_url, until


def refused(answer, status: int, code: str) -> None:
    error = error_of(answer, status)
    assert error["code"] == code and error["message"] and set(error) == {"message", "type", "param", "code"}


@ONE_FAMILY
def test_a_stream_has_lf_only_and_says_when_it_is_done_and_what_it_cost(tiny_batched):
    with live(tiny_batched) as server:
        whole, (*chunks, last) = server.chat().json(), server.chunks(stream_options={"include_usage": True})
        assert not any("usage" in one for one in server.chunks()), "where nobody asked for it"
        answer = server.chat(stream=True)
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert {one["usage"] for one in chunks} == {None}, "unknown yet"
    assert len({(one["id"], one["created"], one["object"]) for one in chunks}) == 1
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"\r" not in answer.content, "azure-ai-inference reads no CRLF"
    events = answer.content.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(one.startswith(b"data: ") and b"\n" not in one for one in events[:-1]), "no comments, no other fields"


def test_a_key_is_asked_for_in_either_header():
    with live(ScriptedEngine("Hi"), key="sesame") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}, {"api-key": "s\xe9same"}):
            refused(server.chat(headers=headers), 401, "invalid_api_key")
            assert requests.get(server.root + "/v1/models", headers=headers, timeout=10).status_code == 401
        for headers in ({"Authorization": "Bearer sesame"}, {"authorization": "bearer sesame"}, {"api-key": "sesame"}):
            assert server.chat(headers=headers | {"Origin": "https://example.org"}).status_code == 200, "a key decides"
        assert requests.get(server.root + "/health", timeout=10).json() == {"status": "ok"}, "a probe has no key"


@pytest.mark.parametrize("stream", [False, True])
def test_leaving_frees_the_slot_and_the_queue(stream):
    engine = ScriptedEngine(*["word "] * 500, pace_s=0.005)
    body = {"messages": HELLO, "stream": stream, "max_tokens": 500}
    with live(engine, waiting=0) as server:
        try:
            with requests.post(server.root + "/v1/chat/completions", json=body, stream=stream, timeout=0.5) as answer:
                next(answer.iter_lines())
        except requests.ReadTimeout:  # of a whole answer nothing comes before its end
            pass
        until(lambda: engine.left == 1 and server.queue.inside == 0)
        assert server.chat(max_tokens=3).status_code == 200


def test_a_fault_in_mid_stream_is_an_error_event_and_no_done():
    with live(ScriptedEngine("a", "b", "c", fault=SlmLabError("The model failed."))) as server:
        events = server.chat(stream=True).content.decode().strip().split("\n\n")
        assert json.loads(events[-1].removeprefix("data: "))["error"]["message"] == "The model failed."
        assert '"content":"b"' in events[-2]
        refused(server.chat(), 500, "server_error")


def test_a_model_that_sees_gets_the_picture_itself(tiny_sight):
    """One that reads only text is told about it in words, and knows what the words say."""
    with live(tiny_sight) as server:
        parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
        answer = server.chat([{"role": "user", "content": parts}], max_tokens=3).json()
        plain = server.chat([{"role": "user", "content": "?"}], max_tokens=3).json()
    picture = answer["usage"]["prompt_tokens"] - plain["usage"]["prompt_tokens"]
    assert picture >= 16, "sixteen patches, each a token"


def test_a_window_slides_and_says_how_long_to_wait():
    now = [1000.0]
    window = Window(2, 60, clock=lambda: now[0])
    for _ in range(5):
        assert window.wait("m") == 0, "asking costs nothing"
    window.count("m")
    now[0] += 10
    window.count("m")
    now[0] += 5
    assert window.wait("m") == 45, "the first request leaves the window after 60 s, of which 15 are over"
    assert window.wait("n") == 0, "each model has its own window"
    now[0] += 45
    assert window.wait("m") == 0, "the first request is a minute old"
    window.count("m")
    assert window.wait("m") == 10, "the second one isn't"

"""OpenAI's protocol over a real socket, byte by byte where bytes matter."""

import json

import pytest
import requests

from slmlab.errors import SlmLabError
from tests.live_server import HELLO, ONE_FAMILY, ScriptedEngine, live, png_url, until


@pytest.fixture(scope="module")
def server(tiny_batched):
    with live(tiny_batched) as served:
        yield served


def text_of(answer) -> str:
    return answer.json()["choices"][0]["message"]["content"]


def refused(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code and error["message"] and set(error) == {"message", "type", "param", "code"}
    return error


@ONE_FAMILY
def test_a_stream_has_lf_only_and_says_when_it_is_done(server):
    answer = server.chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"\r" not in answer.content, "azure-ai-inference reads no CRLF"
    events = answer.content.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(one.startswith(b"data: ") and b"\n" not in one for one in events[:-1]), "no comments, no other fields"


@ONE_FAMILY
def test_a_stream_and_a_whole_say_the_same(server):
    whole = server.chat(max_tokens=20).json()
    first, *chunks, end, last = server.chunks(max_tokens=20, stream_options={"include_usage": True})
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(one["choices"][0]["delta"]["content"] for one in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert end["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert last["usage"] == whole["usage"]


@ONE_FAMILY
def test_the_settings_reach_the_engine(server, tiny_batched):
    first, second, other = (text_of(server.chat(max_tokens=20, temperature=1.5, seed=seed)) for seed in (5, 5, 6))
    assert first == second != other, "a seed repeats"
    assert server.chat(max_tokens=3).json()["usage"]["completion_tokens"] <= 3
    text = tiny_batched.ask("Hello", max_tokens=20).text
    stop = next(one for one in text[3:] if one.isprintable() and one != "\ufffd")
    choice = server.chat(max_tokens=20, stop=[stop]).json()["choices"][0]
    assert choice["message"]["content"] == text[: text.index(stop)] and choice["finish_reason"] == "stop"


@ONE_FAMILY
def test_a_streamed_token_without_text_is_sent_when_its_logprob_is_wanted(server, tiny_batched):
    tokens = tiny_batched.ask("Hello", max_tokens=8, logprobs=True).tokens
    told = [one["choices"][0]["logprobs"] for one in server.chunks(logprobs=True)]
    assert [one["content"][0]["logprob"] for one in told if one] == [one.logprob for one in tokens]


@ONE_FAMILY
def test_a_completion_streams_texts_and_no_roles(server, tiny_batched):
    answer = server.post("/v1/completions", prompt="Once", max_tokens=10, stream=True).content.decode()
    chunks = [json.loads(one.removeprefix("data: ")) for one in answer.split("\n\n")[:-2]]
    assert {one["object"] for one in chunks} == {"text_completion"}
    assert "".join(one["choices"][0]["text"] for one in chunks) == tiny_batched.complete("Once", max_tokens=10).text


@ONE_FAMILY
def test_what_cannot_be_answered_is_refused(server):
    for model in ("gpt-4", "smollm2-135m", "", "\u00e9", "a\nb", "x" * 5000):
        assert server.model in refused(server.chat(model=model), 404, "model_not_found")["message"] or len(model) > 999
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
    refused(server.chat([{"role": "user", "content": parts}]), 400, "unsupported_content")
    refused(server.chat([{"role": "assistant", "content": "x"}]), 400, "invalid_request")
    for stream in (False, True):
        long = [{"role": "user", "content": "a" * 300}]
        assert "256" in refused(server.chat(long, stream=stream), 400, "context_length_exceeded")["message"]


@ONE_FAMILY
def test_a_prompt_of_megabytes_is_refused_without_being_cut_into_tokens(server, monkeypatch):
    counted = []
    monkeypatch.setattr(type(server.profile.engine.format), "ids", lambda self, text: counted.append(len(text)))
    for messages in ([{"role": "user", "content": "word " * 1_000_000}], HELLO * 100_000):
        refused(server.chat(messages=messages), 400, "context_length_exceeded")
    assert not counted


@ONE_FAMILY
def test_no_model_is_the_one_that_is_here_and_fields_that_are_not_read_are_named(server):
    answer = server.post(messages=HELLO, max_tokens=2, user="me", **{"a\r\nSet-Cookie: x": 1, "\u00e9": 2})
    assert answer.json()["model"] == server.model
    assert "user" in answer.headers["x-slmlab-ignored"] and "set-cookie" not in answer.headers


def test_a_key_is_asked_for_in_either_header():
    with live(ScriptedEngine("Hi"), key="sesame") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}, {"api-key": "s\xe9same"}):
            refused(server.chat(headers=headers), 401, "invalid_api_key")
            assert requests.get(server.root + "/v1/models", headers=headers, timeout=10).status_code == 401
        for headers in ({"Authorization": "Bearer sesame"}, {"authorization": "bearer sesame"}, {"api-key": "sesame"}):
            assert server.chat(headers=headers).status_code == 200
        assert requests.get(server.root + "/health", timeout=10).json() == {"status": "ok"}, "a probe has no key"


def test_a_full_queue_answers_429_with_a_time():
    with live(ScriptedEngine(), waiting=0) as server:
        server.queue.inside = 1
        answer = server.chat()
        refused(answer, 429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) >= 1


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
        assert 'request_success_total{finished_reason="abort"' in server.get("/metrics").text


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

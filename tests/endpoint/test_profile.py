"""serving/profile: OpenAI's protocol over a real socket, byte by byte where bytes matter."""

import json
import socket
import threading
import time

import pytest
import requests

from endpoint.app import Log
from endpoint.profile import MOST_BODY_BYTES, Switches
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import HELLO, ONE_FAMILY, ScriptedEngine, live, png_url, until


@pytest.fixture(scope="module")
def server(tiny_batched):
    with live(tiny_batched) as served:
        yield served


def answered(server) -> float:
    found = [one for one in server.get("/metrics").text.splitlines() if one.startswith("slmlab:request_success_total")]
    return sum(float(one.rsplit(" ", 1)[1]) for one in found)


@ONE_FAMILY
def test_a_stream_has_lf_only_and_says_when_it_is_done(server):
    answer = server.chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream") and answer.headers["cache-control"]
    assert b"\r" not in answer.content, "azure-ai-inference reads no CRLF"
    events = answer.content.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    assert all(one.startswith(b"data: ") and b"\n" not in one for one in events[:-1]), "no comments, no other fields"


@ONE_FAMILY
def test_a_stream_and_a_whole_say_the_same(server):
    whole = server.chat(max_tokens=20).json()
    chunks = server.chunks(max_tokens=20, stream_options={"include_usage": True})
    streamed = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks[:-1])
    assert streamed == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


@ONE_FAMILY
def test_the_answer_is_the_engines_own_and_says_whose(server, tiny_batched):
    reply = tiny_batched.ask("Hello", max_tokens=12)
    answer = server.chat(max_tokens=12)
    assert answer.json()["choices"][0]["message"]["content"] == reply.text
    prompt = len(tiny_batched.format.ids(tiny_batched.prompt("Hello")))
    assert answer.json()["usage"] == {
        "prompt_tokens": prompt, "completion_tokens": len(reply.tokens), "total_tokens": prompt + len(reply.tokens)
    }  # fmt: skip
    assert answer.headers["x-slmlab-answered-by"] == tiny_batched.name


@ONE_FAMILY
def test_a_seed_repeats_and_another_differs(server):
    texts = [
        server.chat(max_tokens=20, temperature=1.5, seed=seed).json()["choices"][0]["message"]["content"]
        for seed in (5, 5, 6)
    ]
    assert texts[0] == texts[1] != texts[2]


@ONE_FAMILY
def test_max_tokens_is_kept_and_said(server):
    answer = server.chat(max_tokens=3).json()
    assert answer["usage"]["completion_tokens"] <= 3 and answer["choices"][0]["finish_reason"] in ("length", "stop")


@ONE_FAMILY
def test_a_stop_text_is_not_part_of_the_answer(server, tiny_batched):
    text = tiny_batched.ask("Hello", max_tokens=20).text
    stop = next(one for one in text[3:] if one.isprintable() and one != "\ufffd")
    choice = server.chat(max_tokens=20, stop=[stop]).json()["choices"][0]
    assert choice["message"]["content"] == text[: text.index(stop)] and choice["finish_reason"] == "stop"


@ONE_FAMILY
def test_logprobs_are_those_of_the_engine(server, tiny_batched):
    content = server.chat(logprobs=True, top_logprobs=3).json()["choices"][0]["logprobs"]["content"]
    tokens = tiny_batched.ask("Hello", max_tokens=8, logprobs=True).tokens
    assert [one["logprob"] for one in content] == [one.logprob for one in tokens]
    rivals = [one["top_logprobs"][0]["logprob"] for one in content]
    assert rivals == pytest.approx([one["logprob"] for one in content]), "greedy takes the likeliest"
    assert all(len(one["top_logprobs"]) == 3 for one in content)


@ONE_FAMILY
def test_a_completion_goes_on_from_its_text(server, tiny_batched):
    answer = server.post("/v1/completions", prompt="Once", max_tokens=10, logprobs=1).json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == tiny_batched.complete("Once", max_tokens=10).text
    assert len(answer["choices"][0]["logprobs"]["tokens"]) == answer["usage"]["completion_tokens"]


@ONE_FAMILY
def test_models_health_and_metrics_answer(server):
    assert [one["id"] for one in server.get("/v1/models").json()["data"]] == [server.model]
    assert server.get("/health").json() == {"status": "ok"}
    before = answered(server)
    server.chat()
    assert answered(server) == before + 1


@ONE_FAMILY
def test_no_model_is_the_one_that_is_here(server):
    assert server.post(messages=HELLO, max_tokens=2).json()["model"] == server.model


def refused(answer, status: int, code: str):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code and error["message"] and set(error) == {"message", "type", "param", "code"}
    return error


@ONE_FAMILY
@pytest.mark.parametrize("model", ["gpt-4", "smollm2-135m", "", "\u00e9", "\ud800", "a\nb", "x" * 5000])
def test_a_wrong_model_is_not_found(server, model):
    error = refused(server.chat(model=model), 404, "model_not_found")
    assert server.model in error["message"], "it says what is here"


@ONE_FAMILY
def test_a_prompt_over_the_context_is_refused_with_both_numbers(server):
    long = [{"role": "user", "content": "a" * 300}]
    for stream in (False, True):
        error = refused(server.chat(long, stream=stream), 400, "context_length_exceeded")
        assert "256" in error["message"]


@ONE_FAMILY
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'"x"', b"\xff\xfe", b"[" * 100_000, b"9" * 10_000])
def test_what_is_no_json_object_is_refused(server, body):
    answer = requests.post(server.root + "/v1/chat/completions", data=body, timeout=10)
    refused(answer, 400, "invalid_json")


@ONE_FAMILY
@pytest.mark.parametrize(
    "messages",
    [[], [{"role": "user", "content": ""}], [{"role": "assistant", "content": "x"}], [{"role": ["user"]}], "hi",
     [{"role": "user", "content": "\ud800"}]],
)  # fmt: skip
def test_messages_that_cannot_be_answered_are_refused(server, messages):
    assert server.chat(messages).status_code == 400


@ONE_FAMILY
def test_a_huge_body_is_refused_and_the_server_goes_on(server):
    body = b'{"messages": "' + b"a" * MOST_BODY_BYTES + b'"}'
    try:
        refused(requests.post(server.root + "/v1/chat/completions", data=body, timeout=20), 413, "request_too_large")
    except requests.ConnectionError:
        pass  # it may be told while it still sends, and some clients see only the closed door then
    assert server.chat().status_code == 200


@ONE_FAMILY
def test_two_answers_to_one_question_are_refused(server):
    assert refused(server.chat(n=2), 400, "unsupported_parameter")["param"] == "n"


@ONE_FAMILY
def test_a_picture_is_refused_by_a_model_that_reads_text(server):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
    refused(server.chat([{"role": "user", "content": parts}]), 400, "unsupported_content")


@ONE_FAMILY
def test_fields_that_are_not_read_are_named_in_a_header(server):
    answer = server.chat(**{"user": "me", "a\r\nSet-Cookie: x": 1, "\u00e9": 2})
    assert answer.status_code == 200 and "user" in answer.headers["x-slmlab-ignored"]
    assert "set-cookie" not in answer.headers


def test_a_key_is_asked_for_in_either_header():
    with live(ScriptedEngine("Hi"), key="sesame") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}, {"api-key": "s\xe9same"}):
            refused(server.chat(headers=headers), 401, "invalid_api_key")
            assert requests.get(server.root + "/v1/models", headers=headers, timeout=10).status_code == 401
        for headers in ({"Authorization": "Bearer sesame"}, {"authorization": "bearer sesame"}, {"api-key": "sesame"}):
            assert server.chat(headers=headers).status_code == 200
        assert requests.get(server.root + "/health", timeout=10).status_code == 200, "a probe has no key"


def test_a_full_queue_answers_429_with_a_time():
    engine = ScriptedEngine("a", "b", seats=1, stepwise=True)
    with live(engine, waiting=1) as server:
        found = []
        threads = [threading.Thread(target=lambda: found.append(server.chat())) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: server.desk.inside == 2 and engine.open == 1)
        answer = server.chat()
        refused(answer, 429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) >= 1
        for _ in range(4):
            engine.step.release()
        for thread in threads:
            thread.join()
        assert [one.status_code for one in found] == [200, 200], "whoever was let in is answered"
        text = server.get("/metrics").text
        assert 'slmlab:request_refused_total{status="429"} 1.0' in text


def test_leaving_a_stream_frees_the_seat_and_the_queue():
    engine = ScriptedEngine(*["word "] * 500, pace_s=0.005)
    with live(engine, waiting=0) as server:
        body = {"messages": HELLO, "stream": True, "max_tokens": 500}
        with requests.post(server.root + "/v1/chat/completions", json=body, stream=True, timeout=10) as answer:
            next(answer.iter_lines())
            assert engine.open == 1
        until(lambda: engine.left == 1 and server.desk.inside == 0)
        assert server.chat(max_tokens=3).status_code == 200


def test_leaving_a_whole_answer_frees_the_seat():
    engine = ScriptedEngine(*["word "] * 500, pace_s=0.005)
    with live(engine, waiting=0) as server:
        with pytest.raises(requests.ReadTimeout):
            requests.post(server.root + "/v1/chat/completions", json={"messages": HELLO}, timeout=0.3)
        until(lambda: engine.left == 1 and server.desk.inside == 0)
        assert server.chat(max_tokens=3).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_leaving_the_queue_frees_its_place_before_its_turn_comes(stream, monkeypatch):
    monkeypatch.setattr("endpoint.queue.LOOK_S", 0.05)
    engine = ScriptedEngine("a", "b", stepwise=True)
    with live(engine, waiting=1) as server:
        first = threading.Thread(target=server.chat)
        first.start()
        until(lambda: engine.open == 1)
        with pytest.raises(requests.ReadTimeout):
            body = {"messages": HELLO, "stream": stream}
            requests.post(server.root + "/v1/chat/completions", json=body, timeout=0.3)
        until(lambda: server.desk.inside == 1)
        engine.step.release()
        engine.step.release()
        first.join()
        assert len(engine.asked) == 1, "the one that left was never read"


def test_a_fault_in_mid_stream_is_an_error_event_and_no_done():
    engine = ScriptedEngine("a", "b", "c", fault=SlmLabError("The model failed."))
    with live(engine) as server:
        events = server.chat(stream=True).content.decode().strip().split("\n\n")
        assert json.loads(events[-1].removeprefix("data: "))["error"]["message"] == "The model failed."
        assert "[DONE]" not in events[-1] and '"content":"b"' in events[-2]
        refused(server.chat(), 500, "server_error")


@pytest.mark.parametrize("switch", [{"per_minute": 0}, {"per_day": -1}, {"minute_s": 0}])
def test_a_limit_of_nothing_is_refused_and_not_replaced(switch):
    with pytest.raises(BadRequest, match=next(iter(switch))):
        Switches(**switch)


def test_a_model_is_described_by_its_id(server):
    assert server.get(f"/v1/models/{server.model}").json()["id"] == server.model
    assert server.get("/v1/models/gpt-17").status_code == 404


def test_an_answer_that_is_left_is_counted_as_one():
    with live(ScriptedEngine(*["word"] * 200, pace_s=0.01)) as server:
        with requests.post(
            server.url + "/chat/completions", json={"messages": HELLO, "stream": True}, stream=True, timeout=10
        ) as answer:
            next(answer.iter_lines())
        until(lambda: 'request_success_total{finished_reason="abort"' in server.get("/metrics").text)


def test_a_client_that_goes_while_it_asks_is_no_fault_of_the_server(capfd):
    log = Log()
    with live(ScriptedEngine(), log=log) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as half:
            half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n\r\n{")
            time.sleep(0.1)
        until(lambda: 'request_refused_total{status="499"} 1' in server.get("/metrics").text)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_refusal_quotes_no_more_than_a_reader_can_read(server):
    answer = server.chat(tools=[{"name": "x" * 100_000}])
    assert answer.status_code == 400 and len(answer.text) < 2000


@pytest.mark.parametrize("seed", [-1, 2**40, 0])
def test_any_whole_number_is_a_seed(server, seed):
    assert server.chat(seed=seed, temperature=1).ok


def test_a_prompt_of_megabytes_is_refused_without_being_cut_into_tokens(server, monkeypatch):
    counted = []
    monkeypatch.setattr(type(server.desk.engine.format), "ids", lambda self, text: counted.append(len(text)))
    for messages in ([{"role": "user", "content": "word " * 1_000_000}], HELLO * 100_000):
        answer = server.chat(messages=messages)
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "context_length_exceeded"
    assert not counted


def test_a_model_that_sees_gets_the_picture_itself(tiny_sight):
    """One that reads only text is told about it in words, and knows what the words say."""
    with live(tiny_sight) as server:
        parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
        answer = server.chat([{"role": "user", "content": parts}], max_tokens=3).json()
        plain = server.chat([{"role": "user", "content": "?"}], max_tokens=3).json()
    picture = answer["usage"]["prompt_tokens"] - plain["usage"]["prompt_tokens"]
    assert picture >= 16, "sixteen patches, each a token"

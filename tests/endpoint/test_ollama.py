"""serving/practice_ollama: the `ollama` client, unmodified, and the lines that it reads."""

import json

import pytest
import requests
from ollama import Client, ResponseError

from slmlab.errors import SlmLabError
from tests.live_server import HELLO, ONE_FAMILY, ScriptedEngine, live, png

OWN = "smollm2:135m"


@pytest.fixture
def server():
    with live(ScriptedEngine("Hello", " there"), "ollama") as served:
        yield served


@pytest.fixture
def client(server):
    return Client(server.root)


def lines(server, path: str, **body) -> list[dict]:
    answer = server.post(path, **body)
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(one) for one in answer.text.splitlines()]


def test_a_chat_is_answered_whole(client):
    answer = client.chat(OWN, messages=HELLO)
    assert answer.message.content == "Hello there" and answer.message.role == "assistant"
    assert answer.done and answer.done_reason == "stop" and (answer.prompt_eval_count, answer.eval_count) == (5, 2)


def test_a_chat_streams(client):
    *pieces, last = client.chat(OWN, messages=HELLO, stream=True)
    assert [one.message.content for one in pieces] == ["Hello", " there"] and not any(one.done for one in pieces)
    assert last.done and last.message.content == "" and last.eval_count == 2


def test_the_times_add_up():
    with live(ScriptedEngine(*"abcd", pace_s=0.02), "ollama") as server:
        answer = Client(server.root).chat(OWN, messages=HELLO)
    assert answer.eval_duration >= 3 * 0.02 * 1e9 and answer.prompt_eval_duration >= 0.02 * 1e9
    assert answer.prompt_eval_duration + answer.eval_duration <= answer.total_duration
    assert answer.eval_duration < answer.total_duration, "reading the prompt is not writing"


@pytest.mark.parametrize("stream", [False, True])
def test_generate_goes_by_the_template_or_raw(server, client, stream):
    for options in ({}, {"raw": True}, {"system": "Be brief."}):
        answer = client.generate(OWN, "Once", stream=stream, **options)
        text = "".join(one.response for one in answer) if stream else answer.response
        assert text == "Hello there"
    assert server.profile.engine.asked == ["Once", "Once", "Be brief.\nOnce"]


@ONE_FAMILY
def test_options_reach_the_engine_under_our_names(tiny_batched):
    with live(tiny_batched, "ollama") as server:
        client, name = Client(server.root), server.model
        options = {"temperature": 1.2, "top_p": 0.9, "top_k": 40, "seed": 7, "num_predict": 9, "repeat_penalty": 1.1}
        reply = tiny_batched.ask("Hello", temperature=1.2, top_p=0.9, top_k=40, seed=7, max_tokens=9,
                                 repetition_penalty=1.1)  # fmt: skip
        assert client.chat(name, messages=HELLO, options=options).message.content == reply.text
        long = [{"role": "user", "content": "a" * 300}]
        for stream in (False, True):
            with pytest.raises(ResponseError, match="holds 256") as caught:
                list(client.chat(name, messages=long, stream=stream))
            assert caught.value.status_code == 400


def test_no_limit_is_this_servers_own(client):
    assert client.chat(OWN, messages=HELLO, options={"num_predict": -1}).message.content == "Hello there"


def test_models_are_listed_and_shown(client):
    (own,) = client.list().models
    assert own.model == OWN and own.details.format == "onnx" and own.details.parameter_size == "135M"
    assert [one.model for one in client.ps().models] == [OWN]
    shown = client.show(OWN)
    assert shown.modelinfo["context_length"] == 4096 and shown.capabilities == ["completion"]


@pytest.mark.parametrize("name", ["nothing", "phi3.5", "smollm2"])
def test_a_model_that_was_not_pulled_is_404(client, name):
    for call in (
        lambda: client.chat(name, messages=HELLO),
        lambda: list(client.generate(name, "x", stream=True)),
        lambda: client.show(name),
        lambda: client.delete(name),
    ):
        with pytest.raises(ResponseError) as caught:
            call()
        assert caught.value.status_code == 404 and caught.value.error == f"model '{name}' not found"


@ONE_FAMILY
def test_a_pull_reads_the_files_and_then_the_model_is_there(tiny_batched, tiny_onnx_folder):
    with live(tiny_batched, "ollama") as server:
        client = Client(server.root)
        steps = list(client.pull("phi3.5", stream=True))
        assert steps[0].status == "pulling manifest" and steps[-1].status == "success"
        digests = {one.digest for one in steps if one.digest}
        files = sorted(tiny_onnx_folder.glob("*.onnx*"))
        assert len(digests) == len(files), "a layer keeps its name while it is pulled"
        sizes = {one.digest: (one.completed, one.total) for one in steps if one.digest}
        assert sorted(total for _, total in sizes.values()) == sorted(file.stat().st_size for file in files)
        assert all(completed == total for completed, total in sizes.values())
        assert client.chat("phi3.5", messages=HELLO, options={"num_predict": 3}).model == "phi3.5"
        assert client.chat("phi3.5:latest", messages=HELLO, options={"num_predict": 3}).message.content
        client.delete("phi3.5")
        assert "phi3.5:latest" not in [one.model for one in client.list().models]


def test_a_pull_can_be_silent(client):
    assert client.pull("phi3.5").status == "success"


def test_a_pull_of_an_unknown_model_fails(client, server):
    with pytest.raises(ResponseError, match="file does not exist"):
        list(client.pull("nothing", stream=True))
    with pytest.raises(ResponseError, match="file does not exist") as caught:
        client.pull("nothing")
    assert caught.value.status_code == 500
    assert lines(server, "/api/pull", model="nothing")[-1] == {"error": "pull model manifest: file does not exist"}


def test_a_picture_is_told_in_words(server, client):
    client.chat(OWN, messages=[{"role": "user", "content": "What is it?", "images": [png()]}])
    client.generate(OWN, "What is it?", images=[png(3, 4)])
    assert server.profile.engine.asked == [
        "(A PNG picture of 8 x 6 pixels is here.)\nWhat is it?", "(A PNG picture of 3 x 4 pixels is here.)\nWhat is it?"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "x", "images": ["bm8gcGljdHVyZQ=="]}]},
        {"messages": [{"role": "user", "content": "x", "images": ["%"]}]},
        {"messages": [{"role": "user", "content": "x", "images": 5}]},
        {"messages": [{"role": ["user"], "content": "x"}]}, {"messages": [{"role": "user", "content": 5}]},
        {"messages": 5}, {"messages": "hi"}, {"messages": [5]}, {"messages": HELLO, "options": [1]},
        {"messages": HELLO, "options": {"temperature": "hot"}}, {"messages": HELLO, "options": {"num_predict": "x"}},
        {"messages": HELLO, "tools": [{"type": "function"}]}, {"messages": HELLO, "format": "json"},
        {"messages": HELLO, "think": True},
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_one_sentence(server, body):
    answer = server.post("/api/chat", model=OWN, **body)
    assert answer.status_code == 400 and list(answer.json()) == ["error"] and isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("model", [None, 5, ["x"], {}])
def test_a_name_that_is_no_text_is_not_found(server, model):
    for path in ("/api/chat", "/api/generate", "/api/show"):
        assert server.post(path, model=model).status_code == 404


def test_nothing_asked_only_loads(server):
    for path, field in (("/api/chat", "message"), ("/api/generate", "response")):
        answer = server.post(path, model=OWN).json()
        assert answer["done"] and answer["done_reason"] == "load" and field in answer
    assert server.profile.engine.asked == []


def test_a_line_is_one_line_whatever_is_said():
    with live(ScriptedEngine("a\u2028b", "c\u0085d\r\n", "\u00e9\U0001f600"), "ollama") as server:
        text = "".join(one.message.content for one in Client(server.root).chat(OWN, messages=HELLO, stream=True))
        assert text == "a\u2028bc\u0085d\r\n\u00e9\U0001f600"


def test_a_fault_in_mid_stream_is_a_line():
    with live(ScriptedEngine("a", "b", fault=SlmLabError("The model failed.")), "ollama") as server:
        found = lines(server, "/api/chat", model=OWN, messages=HELLO)
        assert found[0]["message"]["content"] == "a" and found[-1] == {"error": "The model failed."}
        with pytest.raises(ResponseError, match="The model failed"):
            list(Client(server.root).chat(OWN, messages=HELLO, stream=True))


def test_the_root_and_the_version_are_what_clients_look_for(server):
    assert requests.get(server.root, timeout=10).text.startswith("Ollama is running\nAnswers come from ")
    assert server.get("/api/version").json()["version"]


def test_a_key_guards_these_paths_too_where_there_is_one():
    with live(ScriptedEngine(), "ollama", key="sesame") as server:
        assert server.get("/api/tags").status_code == 401
        answer = server.post("/api/chat", model=OWN, messages=HELLO)
        assert answer.status_code == 401 and answer.json() == {"error": "The API key is missing or wrong."}

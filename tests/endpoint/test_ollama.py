"""Ollama: its own client, unmodified, and the lines that it reads."""

import json

import pytest
from ollama import Client, ResponseError

from endpoint.ollama import Turn, figures, read_message, read_sampling
from endpoint.openai_protocol import Refusal
from slmlab.errors import SlmLabError
from slmlab.records import End, Start, Token
from tests.live_server import HELLO, ONE_FAMILY, ScriptedEngine, live, png

OWN = "smollm2:135m"


@pytest.fixture
def server():
    with live(ScriptedEngine("Hello", " there"), "ollama") as served:
        yield served


@pytest.fixture
def client(server):
    return Client(server.root)


def test_a_chat_is_answered_whole_and_streamed(client):
    answer = client.chat(OWN, messages=HELLO)
    assert answer.message.content == "Hello there" and answer.message.role == "assistant"
    assert answer.done and answer.done_reason == "stop" and (answer.prompt_eval_count, answer.eval_count) == (5, 2)
    *pieces, last = client.chat(OWN, messages=HELLO, stream=True)
    assert [one.message.content for one in pieces] == ["Hello", " there"] and not any(one.done for one in pieces)
    assert last.done and last.message.content == "" and last.eval_count == 2


def test_generate_goes_by_the_template(server, client):
    assert client.generate(OWN, "Once", system="Be brief.").response == "Hello there"
    assert "".join(one.response for one in client.generate(OWN, "Once", stream=True)) == "Hello there"
    assert server.profile.engine.asked == ["Be brief.\nOnce", "Once"]


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


def test_no_limit_is_this_servers_own_and_nonsense_is_refused():
    assert read_sampling({"num_predict": -1, "top_k": -1}) == read_sampling({})
    for options in ({"temperature": "hot"}, {"num_predict": 0}):
        with pytest.raises(Refusal):
            read_sampling(options)


def test_models_are_listed_and_shown(server, client):
    (own,) = client.list().models
    assert own.model == OWN and own.details.format == "onnx" and own.details.parameter_size == "135M"
    shown = client.show(OWN)
    assert shown.modelinfo["context_length"] == 4096 and shown.capabilities == ["completion"]
    assert server.get("/api/version").json()["version"]


def test_a_model_that_was_not_pulled_is_404(client):
    for name in ("nothing", "phi3.5", "smollm2"):
        for call in (
            lambda name=name: client.chat(name, messages=HELLO),
            lambda name=name: list(client.generate(name, "x", stream=True)),
            lambda name=name: client.show(name),
        ):
            with pytest.raises(ResponseError) as caught:
                call()
            assert caught.value.status_code == 404 and caught.value.error == f"model '{name}' not found"


@ONE_FAMILY
def test_a_pull_names_the_files_and_then_the_model_is_there(tiny_batched, tiny_onnx_folder):
    with live(tiny_batched, "ollama") as server:
        client = Client(server.root)
        steps = list(client.pull("phi3.5", stream=True))
        assert steps[0].status == "pulling manifest" and steps[-1].status == "success"
        sizes = [(one.completed, one.total) for one in steps if one.digest]
        assert sorted(sizes) == sorted((file.stat().st_size,) * 2 for file in tiny_onnx_folder.glob("*.onnx*"))
        assert client.chat("phi3.5", messages=HELLO, options={"num_predict": 3}).model == "phi3.5"
        assert client.chat("phi3.5:latest", messages=HELLO, options={"num_predict": 3}).message.content
    with live(ScriptedEngine(), "ollama") as server:
        assert Client(server.root).pull("phi3.5").status == "success", "it can be silent"


def test_a_pull_of_an_unknown_model_fails(client):
    with pytest.raises(ResponseError, match="file does not exist"):
        list(client.pull("nothing", stream=True))
    with pytest.raises(ResponseError, match="file does not exist") as caught:
        client.pull("nothing")
    assert caught.value.status_code == 500


def test_a_picture_is_told_in_words(server, client):
    client.chat(OWN, messages=[{"role": "user", "content": "What is it?", "images": [png()]}])
    assert server.profile.engine.asked == ["(A PNG picture of 8 x 6 pixels is here.)\nWhat is it?"]
    with pytest.raises(Refusal, match="image data"):
        read_message(Turn(role="user", content="x", images=["bm8gcGljdHVyZQ=="]))


def test_what_cannot_be_done_is_refused_in_one_sentence(server):
    for body in ({"tools": [{"type": "function"}]}, {"format": "json"}, {"think": True}, {"messages": "hi"},
                 {"messages": [{"role": "robot", "content": "x"}]}, {"options": [1]}):  # fmt: skip
        answer = server.post("/api/chat", **{"model": OWN, "messages": HELLO} | body)
        assert answer.status_code == 400 and list(answer.json()) == ["error"], body
        assert isinstance(answer.json()["error"], str)


def test_a_line_is_one_line_whatever_is_said():
    with live(ScriptedEngine("a\u2028b", "c\u0085d\r\n", "\u00e9\U0001f600"), "ollama") as server:
        text = "".join(one.message.content for one in Client(server.root).chat(OWN, messages=HELLO, stream=True))
        assert text == "a\u2028bc\u0085d\r\n\u00e9\U0001f600"


def test_a_fault_in_mid_stream_is_a_line():
    with live(ScriptedEngine("a", "b", fault=SlmLabError("The model failed.")), "ollama") as server:
        first, last = server.post("/api/chat", model=OWN, messages=HELLO).text.splitlines()
        assert json.loads(first)["message"]["content"] == "a" and json.loads(last) == {"error": "The model failed."}


def test_a_key_guards_these_paths_too_where_there_is_one():
    with live(ScriptedEngine(), "ollama", key="sesame") as server:
        assert server.get("/api/tags").status_code == 401
        assert server.post("/api/chat", model=OWN, messages=HELLO).json() == {
            "error": "The API key is missing or wrong."}  # fmt: skip


def test_the_figures_are_nanoseconds_from_the_stamps():
    found = figures(1.0, Start(1.0, 9), [Token(1, "a", 1.5), Token(2, "b", 2.5)], End(3.5, "length"))
    assert (found["prompt_eval_duration"], found["eval_duration"]) == (500_000_000, 2_000_000_000)
    assert (found["prompt_eval_count"], found["eval_count"], found["done_reason"]) == (9, 2, "length")

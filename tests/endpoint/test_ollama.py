"""Ollama: its own client, unmodified, and the lines that it reads."""

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


def test_a_chat_is_answered_whole_and_streamed(client):
    answer = client.chat(OWN, messages=HELLO)
    assert answer.message.content == "Hello there" and answer.message.role == "assistant"
    assert answer.done and answer.done_reason == "stop" and (answer.prompt_eval_count, answer.eval_count) == (5, 2)
    assert client.generate(OWN, "Hello").response == "Hello there"
    assert "".join(one.response for one in client.generate(OWN, "Hello", stream=True)) == "Hello there"
    *pieces, last = client.chat(OWN, messages=HELLO, stream=True)
    assert [one.message.content for one in pieces] == ["Hello", " there"] and not any(one.done for one in pieces)
    assert last.done and last.message.content == "" and last.eval_count == 2


@ONE_FAMILY
def test_options_reach_the_engine_under_our_names(tiny_batched):
    with live(tiny_batched, "ollama") as server:
        client, name = Client(server.root), server.model
        options = {"temperature": 1.2, "top_p": 0.9, "top_k": 40, "seed": 7, "num_predict": 9, "repeat_penalty": 1.1,
                   "num_ctx": 4096}  # fmt: skip
        reply = tiny_batched.ask("Hello", temperature=1.2, top_p=0.9, top_k=40, seed=7, max_tokens=9,
                                 repetition_penalty=1.1)  # fmt: skip
        assert client.chat(name, messages=HELLO, options=options).message.content == reply.text
        long = [{"role": "user", "content": "a" * 300}]
        for stream in (False, True):
            with pytest.raises(ResponseError, match="holds 256") as caught:
                list(client.chat(name, messages=long, stream=stream))
            assert caught.value.status_code == 400


def test_a_model_answers_once_it_is_pulled_and_is_listed(client):
    for name, call in (("phi3.5", lambda: client.chat("phi3.5", messages=HELLO)), ("no", lambda: client.chat("no"))):
        with pytest.raises(ResponseError, match=f"model '{name}' not found") as caught:
            call()
        assert caught.value.status_code == 404
    assert [one.status for one in client.pull("phi3.5", stream=True)] == ["pulling manifest", "success"]
    assert client.pull("phi3.5").status == "success", "it can be silent"
    assert client.chat("phi3.5:latest", messages=HELLO, options={"num_predict": -1}).message.content == "Hello there"
    assert [one.model for one in client.list().models] == ["phi3.5:latest", OWN]
    for stream in (True, False):
        with pytest.raises(ResponseError, match="file does not exist"):
            list(client.pull("nothing", stream=stream))


def test_a_created_model_has_its_recipe_and_the_next_one_builds_on_it(server, client):
    steps = client.create("mine", from_="phi3.5", system="Be brief.", parameters={"stop": ["there"], "num_ctx": 9},
                          adapters={"lora": "sha256:0"}, quantize="q8_0", stream=True)  # fmt: skip
    *_, said, last = [one.status for one in steps]
    assert last == "success" and "adapters and quantize kept, and applied to nothing" in said
    assert client.create("later", from_="mine", parameters={"num_ctx": 99}).status == "success"
    assert client.show("later").parameters == 'stop "there"\nnum_ctx 99' and client.show("mine").modelfile
    asked = server.profile.engine.asked
    client.chat("later", messages=HELLO)
    assert "Be brief." in asked[-1], "the system text comes first"
    client.chat("later", messages=[{"role": "system", "content": "Be long."}, *HELLO])
    assert "Be long." in asked[-1] and "Be brief." not in asked[-1], "the reader's own takes its place"
    with pytest.raises(ResponseError, match="file does not exist"):
        client.create("other", from_="nothing")
    assert server.post("/api/create", **{"from": "phi3.5"}).status_code == 400, "a model has a name"


def test_a_created_model_is_asked_as_it_was_made_in_openais_words_too(server, client):
    """Once its recipe was left out there, and nobody was told."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    client.create("mine", from_="phi3.5", system="Be brief.", messages=turns, parameters={"num_predict": 1})
    assert server.chat(model="mine", max_tokens=None).json()["choices"][0]["message"]["content"] == "Hello"
    assert server.profile.engine.asked == ["Be brief.\nHi\nYo\nHello"]
    assert server.chat(model="mine", max_tokens=2).json()["usage"]["completion_tokens"] == 2, "a request's own is first"


def test_a_licence_in_parts_can_be_shown(client):
    client.create("mine", from_="phi3.5", template="{{ .Prompt }}", license=["MIT", "BSD"])
    assert client.show("mine").template == "{{ .Prompt }}"


@ONE_FAMILY
def test_the_oldest_turns_leave_a_window_that_is_too_small(tiny_batched):
    turns = [{"role": "system", "content": "S"}]
    turns += [{"role": role, "content": "x" * 9} for _ in range(4) for role in ("user", "assistant")] + HELLO
    with live(tiny_batched, "ollama") as server:
        client, name = Client(server.root), server.model
        whole = client.chat(name, messages=turns, options={"num_predict": 1}).prompt_eval_count
        client.create("small", from_=name, parameters={"num_ctx": whole - 1, "num_predict": 1})
        assert client.chat("small", messages=turns).prompt_eval_count < whole
        client.create("tiny", from_=name, parameters={"num_ctx": 1, "num_predict": 1})
        alone = client.chat(name, messages=[turns[0], turns[-1]], options={"num_predict": 1}).prompt_eval_count
        assert client.chat("tiny", messages=turns).prompt_eval_count == alone, "system text and question stay"
        body = {"model": name, "messages": turns, "options": {"num_ctx": "2048"}}
        refused = requests.post(f"{server.root}/api/chat", json=body)  # the client's own types would stop this text
        assert refused.status_code == 400 and "must be of type integer" in refused.text


def test_a_picture_reaches_a_model_that_sees_and_is_refused_for_one_that_reads(client):
    asked = [{"role": "user", "content": "What is it?", "images": [png()]}]
    with pytest.raises(ResponseError, match="reads text only"):
        client.chat(OWN, messages=asked)
    with live(ScriptedEngine(sees=True), "ollama") as server:
        Client(server.root).chat("smollm2:135m", messages=asked)
        assert server.profile.engine.asked == ["8 x 6\nWhat is it?"]


def test_what_cannot_be_done_is_refused_in_one_sentence(server):
    for body in ({"tools": [{"type": "function"}]}, {"think": True}, {"messages": "hi"},
                 {"messages": [{"role": "robot", "content": "x"}]}, {"options": [1]}, {"options": {"num_predict": 0}},
                 {"messages": [{"role": "user", "content": "x", "images": ["bm8gcGljdHVyZQ=="]}]}):  # fmt: skip
        answer = server.post("/api/chat", **{"model": OWN, "messages": HELLO} | body)
        assert answer.status_code == 400 and list(answer.json()) == ["error"], body
        assert isinstance(answer.json()["error"], str)


def test_a_fault_in_mid_stream_is_a_line():
    with live(ScriptedEngine("a", "b", fault=SlmLabError("The model failed.")), "ollama") as server:
        first, last = server.post("/api/chat", model=OWN, messages=HELLO).text.splitlines()
        assert json.loads(first)["message"]["content"] == "a" and json.loads(last) == {"error": "The model failed."}

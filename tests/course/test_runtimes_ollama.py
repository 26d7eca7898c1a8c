"""runtimes.ollama: the real client against a server that speaks as much of Ollama as is asked."""

import hashlib

import pytest

from course.runtimes.contract import chat_format, gguf_file
from course.runtimes.listing import made
from course.runtimes.ollama import NAME, recipe
from tests.scripted_server import Answer, ScriptedServer, answer_json


def said(asked: dict) -> Answer:
    """' one' as often as it is asked; no blob is there before it is sent."""
    path, body = asked["path"], asked["body"]
    if path.startswith("/api/blobs/"):
        return Answer(201 if body else 404, headers={"content-length": "0"})
    words = " one" * (body or {}).get("options", {}).get("num_predict", 0)
    told = {"/api/version": {"version": "0.99.1"}, "/api/tags": {"models": []}}
    told["/api/ps"] = {"models": [{"model": f"{NAME}:latest", "name": f"{NAME}:latest", "size": 123_000_000}]}
    return answer_json(200, told.get(path, {"status": "success", "model": NAME, "response": words, "done": True}))


@pytest.fixture
def speaker(monkeypatch):
    server = ScriptedServer(said)
    monkeypatch.setenv("OLLAMA_HOST", server.url.removesuffix("/v1"))
    yield server
    server.close()


def test_the_server_gets_the_bundled_file_and_every_prompt_as_raw_text(speaker, bundled):
    runtime = made("ollama")
    assert runtime.need() is None
    runtime.prepare()
    runtime.open()
    blob = next(body for body in speaker.bodies if isinstance(body, bytes))
    assert blob == gguf_file().read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    created = next(one["body"] for one in speaker.requests if one["path"] == "/api/create")
    assert created["files"] == {gguf_file().name: f"sha256:{digest}"} and runtime.version == "0.99.1"
    ids = chat_format().ids("<|im_start|>user\nHi<|im_end|>\n")
    runtime.read(ids)
    assert runtime.write(3) == chat_format().ids(" one one one")
    assert runtime.write(1) == chat_format().ids(" one")
    prompts = [one["body"]["prompt"] for one in speaker.requests if one["path"] == "/api/generate"]
    assert prompts[1:] == [chat_format().marked(ids)] * 2 + [chat_format().marked(ids) + " one one one"]
    assert runtime.resident_bytes() == 123_000_000 and runtime.score(ids) == (None, None)
    runtime.forget()
    assert speaker.bodies[-1]["prompt"] == "\n", "what it kept of a prompt is pushed out before the next"
    runtime.close()
    last = speaker.requests[-1]
    assert (last["path"], last["body"]) == ("/api/delete", {"model": NAME}), "the reader's own store is left as it was"


def test_without_a_server_it_says_where_to_get_one(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    assert "https://ollama.com/download" in made("ollama").need()


def test_a_modelfile_becomes_what_ollama_is_sent():
    text = 'FROM phi3.5\nparameter stop "a"\nPARAMETER stop "b c"\nPARAMETER temperature 0.5\n'
    text += 'SYSTEM """Two\nlines"""\nADAPTER ./lora.gguf\nMESSAGE user Hi there'
    assert recipe(text) == {
        "from_": "phi3.5",
        "parameters": {"stop": ["a", "b c"], "temperature": 0.5},
        "system": "Two\nlines",
        "adapters": {"./lora.gguf": ""},
        "messages": [{"role": "user", "content": "Hi there"}],
    }

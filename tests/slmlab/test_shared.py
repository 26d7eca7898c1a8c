"""A class's one endpoint: it answers what load() gives, and the weights are opened where a lesson looks inside."""

import pytest

import slmlab
from slmlab.engines.onnx import OnnxEngine
from slmlab.engines.shared import SharedEngine
from tests.live_server import live
from tests.scripted_server import ScriptedServer, answer_json, stream

QUESTION = "What is the capital of France?"


@pytest.fixture
def shared(bundled, monkeypatch):
    with live(bundled) as server:
        monkeypatch.setenv("SLMLAB_ENDPOINT", f"{server.root}/v1")
        yield server


def test_a_class_is_answered_by_its_endpoint_and_told_so_in_one_line(shared, bundled, capsys):
    with slmlab.load() as model:
        assert isinstance(model, SharedEngine) and capsys.readouterr().out.count("\n") == 1
        assert model.ask(QUESTION, max_tokens=12).text == bundled.ask(QUESTION, max_tokens=12).text
        assert model.tokens(model.prompt(QUESTION)) == bundled.tokens(bundled.prompt(QUESTION))
        assert not hasattr(model, "asked")
        assert capsys.readouterr().out == "", "neither a slip nor an answer nor its tokens opened the weights"


def test_what_looks_inside_opens_the_weights_once(shared, bundled, capsys):
    with slmlab.load() as model:
        capsys.readouterr()
        assert model.logprobs(QUESTION) == bundled.logprobs(QUESTION)
        assert model.complete("One, two,", max_tokens=4).text == bundled.complete("One, two,", max_tokens=4).text
        assert model.ask(QUESTION, max_tokens=4, top_k=3).text, "top_k is no part of OpenAI's protocol"
        assert model.ask(QUESTION, max_tokens=4, beams=2).text
        assert capsys.readouterr().out.count("opened here") == 1
    with pytest.raises(slmlab.SlmLabError, match="closed"):
        model.complete("One")


def test_the_endpoint_is_not_asked_where_it_has_no_part(shared, monkeypatch, capsys):
    with slmlab.load(threads=1) as asked_for, slmlab.load("tiny-moe") as not_served:
        assert isinstance(asked_for, OnnxEngine) and not isinstance(not_served, SharedEngine)
    monkeypatch.setenv("SLMLAB_ENDPOINT", "http://127.0.0.1:9/v1")
    with slmlab.load() as instead:
        assert isinstance(instead, OnnxEngine) and "is loaded here" in capsys.readouterr().out


def test_an_endpoint_that_fails_is_asked_once_for_its_models(bundled, monkeypatch, capsys):
    server = ScriptedServer(answer_json(503, {}))
    monkeypatch.setenv("SLMLAB_ENDPOINT", server.url)
    with slmlab.load() as instead:
        assert isinstance(instead, OnnxEngine) and "is loaded here" in capsys.readouterr().out
    server.close()
    assert len(server.requests) == 1, "three tries of two minutes each, where it hangs"


def test_a_model_that_only_the_endpoint_has_is_asked_there(own_cache, monkeypatch, capsys):
    listed = answer_json(200, {"data": [{"id": "phi-3.5-mini"}]})
    server = ScriptedServer(listed, stream("Hello"))
    monkeypatch.setenv("SLMLAB_ENDPOINT", server.url)
    assert slmlab.load("phi-3.5-mini").ask("Hi").text == "Hello"
    assert "answers from the class's endpoint" in capsys.readouterr().out
    alone = {"max_tokens": 256, "temperature": 0, "top_p": 1}
    assert alone.items() <= server.bodies[1].items(), "an engine's own settings are others"
    server.close()

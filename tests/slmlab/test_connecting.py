"""Which address a place means, and which key may go there."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from slmlab.connecting import Endpoint, as_key, connect, is_loopback, read_at, services
from slmlab.errors import BadRequest, NotHere, ProviderError
from tests.scripted_server import Answer, ScriptedServer, answer_json, stream

SECRET = "nvapi-PLANTED-22"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No variable of any provider is set."""
    for one in services().values():
        for variable in (*one.key_variables, *one.url_variables):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server():
    made = ScriptedServer(stream("Hello"))
    yield made
    made.close()


def test_loopback_is_this_machine_and_no_name_that_looks_like_it():
    for place in ("http://127.9.9.9:1", "http://[::1]:1/v1", "http://LOCALHOST/", "127.0.0.1", "[::1]", "localhost"):
        assert is_loopback(place), place
    for place in ("http://127.0.0.1.evil.com", "http://localhost.example.org", "http://0.0.0.0", "https://x", ""):
        assert not is_loopback(place), place


def test_what_is_no_base_url_is_refused_and_no_password_repeated():
    for url in ("ftp://x", "http://", "http://a b", "https://me:pw@x", "https://x/?key=pw"):
        with pytest.raises(BadRequest, match="no base URL") as caught:
            connect(url, "m")
        assert "pw" not in str(caught.value)


def test_a_url_and_a_server_of_ones_own_are_places(server):
    root = server.url.removesuffix("/v1")
    model = connect(root, "any-name")
    assert model.ask("Hi").text == "Hello" and root.removeprefix("http://") in repr(model)
    assert server.requests[0]["path"] == "/v1/chat/completions", "most servers answer under /v1"
    for profile, name in (("nvidia", "microsoft/phi-4-mini-instruct"), ("local", "phi-4-mini")):
        own = SimpleNamespace(url=server.url, key=as_key("nvapi-x"), profile=profile)
        assert connect(own, "phi-4-mini").ask("Hi").text == "Hello"
        assert server.bodies[-1]["model"] == name
        assert server.requests[-1]["headers"]["authorization"] == "Bearer nvapi-x"


def test_no_model_takes_the_first_that_is_listed(server):
    server.answers = [answer_json(200, {"data": [{"id": "first"}, {"id": "second"}]}), answer_json(200, {"data": None})]
    assert connect(server.url).name == "first"
    with pytest.raises(ProviderError, match="no name of a model came from"):
        connect(server.url)


def test_an_address_comes_from_its_variable_and_an_old_one_is_refused(monkeypatch):
    addresses = [
        ("foundry", "FOUNDRY_ENDPOINT", "https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1"),
        ("foundry", "AZURE_OPENAI_ENDPOINT", "https://r.com/openai/v1/", "https://r.com/openai/v1"),
        ("ollama", "OLLAMA_HOST", "10.0.0.7", "http://10.0.0.7:11434/v1"),
        ("ollama", "OLLAMA_HOST", "10.0.0.7:9999", "http://10.0.0.7:9999/v1"),
    ]
    monkeypatch.setenv("FOUNDRY_API_KEY", "abcdef")
    for who, variable, value, url in addresses:
        with monkeypatch.context() as here:
            here.setenv(variable, value)
            assert connect(who, "phi-4-mini").url == url, value
    with pytest.raises(BadRequest, match="set FOUNDRY_ENDPOINT"):
        connect("foundry", "phi-4-mini")
    with pytest.raises(ProviderError, match="retired on 2026-07-30.*foundry"):
        connect("github-models", "phi-4-mini")
    with pytest.raises(BadRequest, match="use https://r.services.ai.azure.com/openai/v1 instead"):
        connect("foundry", "d", url="https://r.services.ai.azure.com/models", key="k")


def test_a_key_of_the_environment_never_goes_to_another_address(server, monkeypatch):
    for who in ("nvidia", "github-models", "openai", "foundry"):
        monkeypatch.setenv(services()[who].key_variables[0], SECRET)
        assert connect(who, "phi-4-mini", url=server.url).ask("Hi").text == "Hello"
    assert len(server.requests) == 4 and SECRET not in str(server.requests)
    with pytest.raises(NotHere, match=r"set NVIDIA_API_KEY, which goes to its own address alone.*practise\('nvidia'\)"):
        connect("nvidia", "phi-4-mini", url="https://attacker.example/v1")


def test_no_key_goes_to_a_second_address_or_in_the_clear(server):
    with pytest.raises(BadRequest, match="has an address already"):
        connect(Endpoint(services()["nvidia"], "https://x.example/v1", as_key(SECRET)), "m", url=server.url)
    with pytest.raises(BadRequest, match="http to far.example.*use https"):
        connect("http://far.example/v1", "m", key="abcd")


def test_the_text_beside_an_address_is_read_with_its_key_and_no_key_follows_a_redirect(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answers = [answer_json(200, {"data": []})]
    place = Endpoint(services()["local"], server.url, as_key(SECRET))
    assert place.read("/models") == '{"data": []}' and SECRET not in repr(place)
    moved = ScriptedServer(Answer(302, (b"",), {"location": f"{server.url}/elsewhere", "content-length": "0"}))
    assert read_at(moved.url, "/metrics", as_key(SECRET)), "it is followed, without the key"
    keys = {one["path"]: one["headers"].get("authorization") for one in server.requests}
    assert keys == {"/v1/models": f"Bearer {SECRET}", "/v1/elsewhere": None}
    moved.close()


def test_the_first_cell_of_a_lesson_imports_neither_pydantic_nor_openai():
    code = "import sys, slmlab, slmlab.connecting; print({'pydantic', 'openai'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

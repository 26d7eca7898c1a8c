"""Which address a place means, what each service calls a model, and which key may go there and shows itself nowhere."""

import json
from html import escape
from types import SimpleNamespace

import pytest

from slmlab.catalog import GRADES, card
from slmlab.connecting import Endpoint, Provider, as_key, connect, is_loopback, key_of, read_at, services
from slmlab.errors import BadRequest, NotHere, ProviderError, UnknownName
from tests.scripted_server import Answer, ScriptedServer, answer_json, stream

SECRET = "nvapi-PLANTED-22"


pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture
def server():
    made = ScriptedServer(stream("Hello"))
    yield made
    made.close()


def test_loopback_is_this_machine_and_no_name_that_looks_like_it():
    here = ("http://127.9.9.9:1", "http://[::1]:1/v1", "http://LOCALHOST/", "127.0.0.1", "[::1]", "localhost")
    away = ("http://127.0.0.1.evil.com", "http://localhost.example.org", "http://0.0.0.0", "https://x", "")
    assert [place for place in (*here, *away) if is_loopback(place)] == list(here)


def test_what_is_no_base_url_is_refused_and_no_password_repeated():
    wrong = "ftp://x http:// http://a\tb https://me:pw@x https://x/?key=pw http://[::1/v1 http://h:PORT/v1 http://a..b"
    for url in wrong.split(" "):
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


def test_no_model_at_a_service_takes_one_of_its_table_that_is_still_listed_and_says_when_none_is(server, capsys):
    named = {"base_url": server.url, "models": ["small", "larger"], "models_date": "2026-09-09"}
    place = Endpoint(Provider(**vars(services()["openai"]) | named), server.url)
    server.answers = [answer_json(200, {"data": [{"id": one} for one in ids]}) for ids in (["a", "larger"], ["a", "b"])]
    assert connect(place).model == "larger" and capsys.readouterr().out == ""
    assert connect(place).model == "a"
    assert capsys.readouterr().out == "OpenAI no longer lists small or larger (2026-09-09): a is asked instead.\n"
    assert connect("openai", key="k", url=server.url).model == "a" and capsys.readouterr().out == "", "another server"


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


def test_every_service_says_what_it_is_and_can_be_shown():
    assert services()[" NVIDIA "] is services()["nvidia"]
    with pytest.raises(UnknownName, match="Available: nvidia.*Or give a URL"):
        services()["nvida"]
    with pytest.raises(UnknownName) as caught:
        connect(SECRET)
    assert SECRET not in str(caught.value), "a key in the place of a name isn't shown"
    for one in services().values():
        assert one.what.endswith(".") and one.go_to and one.status in ("live", "retired", "self-hosted")
        assert one.base_url or one.url_variables, f"nobody could find {one.id}"
        assert one.key_variables and one.key_from if one.key_needed else True, f"where does a key of {one.id} stand?"
        dates = [event["date"] for event in one.events]
        assert dates == sorted(dates) and {event["grade"] for event in one.events} <= set(GRADES)
        assert one.name in str(one) and escape(one.source) in one._repr_html_()
        told = (one.id, f"{one.status}, {one.status_date}", one.cost, escape(one.ask_for or one.models[0]))
        assert all(text in services()._repr_html_() for text in told) and one.models_date or not one.models
        to_set = [*one.key_variables[:1], *one.url_variables[: not one.base_url]]
        assert all(f" {name}" in str(services()) for name in to_set), f"what does {one.id} want?"


def test_a_model_is_called_what_the_service_calls_it():
    names = [
        ("github-models", "phi-4-mini", "microsoft/Phi-4-mini-instruct"),
        ("nvidia", "meta/llama-9", "meta/llama-9"),
        ("nim", card("phi-4-mini"), "microsoft/phi-4-mini-instruct"),
        ("foundry", "my-deployment", "my-deployment"),
        ("local", "microsoft/Phi-3.5-mini-instruct", "microsoft/Phi-3.5-mini-instruct"),
        ("local", card("phi-4-mini"), "phi-4-mini"),
    ]
    for who, model, name in names:
        assert services()[who].model_id(model) == name
    with pytest.raises(UnknownName, match="has no mistral-7b"):
        services()["nvidia"].model_id("mistral-7b")


def test_a_key_is_taken_from_the_first_variable_of_its_own_service_that_is_set(monkeypatch):
    monkeypatch.setenv("GITHUB_MODELS_TOKEN", " ")
    monkeypatch.setenv("GITHUB_TOKEN", " ghp_1\n")
    found = {name: key_of(one).get_secret_value() for name, one in services().items() if key_of(one)}
    assert found == {"github-models": "ghp_1"}


def test_a_key_shows_itself_nowhere_and_one_that_no_header_can_carry_is_refused_unseen():
    """An f-string and JSON once gave the whole key."""
    key = as_key("nvapi-PLANTED")
    assert "nvapi" not in f"{key} {key!s} {key!r} {[key]}" and as_key(key) == key
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"key": key})
    for bad in ("nvapi-1 2", "nvapi-\n1", "nvapi-é"):
        with pytest.raises(BadRequest, match="KEY_X holds a blank or a letter") as caught:
            as_key(bad, "KEY_X")
        assert "nvapi" not in str(caught.value)

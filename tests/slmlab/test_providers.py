"""The table of services, what each calls a model, and keys that show themselves nowhere."""

import json
from html import escape

import pytest

from slmlab.catalog import GRADES, card
from slmlab.errors import BadRequest, UnknownName
from slmlab.providers import as_key, key_of, services


def test_every_service_says_what_it_is_and_can_be_shown():
    assert services()[" NVIDIA "] is services()["nvidia"]
    with pytest.raises(UnknownName, match="Available: nvidia.*Or give a URL"):
        services()["nvida"]
    assert list(services()) == ["local", "github-models", "foundry", "nvidia", "nim", "ollama", "openai"]
    for one in services().values():
        assert one.what.endswith(".") and one.go_to and one.status in ("live", "retired", "self-hosted")
        assert one.base_url or one.url_variables, f"nobody could find {one.id}"
        assert one.key_variables and one.key_from if one.key_needed else True, f"where does a key of {one.id} stand?"
        dates = [event["date"] for event in one.events]
        assert dates == sorted(dates) and {event["grade"] for event in one.events} <= set(GRADES)
        assert one.name in str(one) and escape(one.source) in one._repr_html_()
        assert str(one.status_date) in str(services()) and escape(one.status_text) in services()._repr_html_()


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
    for one in services().values():
        for variable in one.key_variables:
            monkeypatch.delenv(variable, raising=False)
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

import json
import logging
from html import escape

import pytest

from slmlab.catalog import card, cards
from slmlab.connecting import Key, as_key, key_of, provider, providers, services
from slmlab.errors import BadRequest, UnknownName

SECRET = "nvapi-PLANTED-1"


def test_every_provider_of_the_course_has_a_table():
    assert list(providers()) == ["local", "github-models", "foundry", "nvidia", "nim", "ollama", "openai"]


@pytest.mark.parametrize("one", providers().values(), ids=lambda one: one.id)
def test_a_provider_says_what_it_is_and_can_be_shown(one):
    assert one.what.endswith(".") and one.source and one.go_to
    assert one.base_url or one.url_variables, "nobody could find it"
    assert not one.key_needed or (one.key_variables and one.key_from)
    assert one.name in str(one) and escape(one.name) in one._repr_html_()
    assert list(one.events) == sorted(one.events, key=lambda event: event.date)


def test_a_provider_is_found_by_its_id_in_any_case():
    assert provider(" NVIDIA ") is provider("nvidia")


def test_an_unknown_provider_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Available: nvidia"):
        provider("nvida")


@pytest.mark.parametrize("name", [None, 3, b"nvidia"])
def test_a_provider_that_is_no_text_is_refused(name):
    with pytest.raises(BadRequest):
        provider(name)


@pytest.mark.parametrize(
    ("who", "model", "id"),
    [
        ("github-models", "phi-4-mini", "microsoft/Phi-4-mini-instruct"),
        ("github-models", "phi-3.5-mini", "microsoft/Phi-3.5-mini-instruct"),
        ("github-models", "Phi-3.5-MoE-instruct", "microsoft/Phi-3.5-MoE-instruct"),
        ("nvidia", "phi-4-mini", "microsoft/phi-4-mini-instruct"),
        ("nvidia", "meta/llama-9", "meta/llama-9"),
        ("nim", card("phi-4-mini"), "microsoft/phi-4-mini-instruct"),
        ("foundry", "phi-4-mini", "Phi-4-mini-instruct"),
        ("foundry", "my-deployment", "my-deployment"),
        ("ollama", "phi-3-mini", "phi3"),
        ("ollama", "smollm2-135m", "smollm2:135m"),
        ("openai", "gpt-99", "gpt-99"),
        ("local", "smollm2-135m", "smollm2-135m"),
        ("local", card("phi-4-mini"), "phi-4-mini"),
    ],
)
def test_a_model_is_called_what_the_provider_calls_it(who, model, id):
    assert provider(who).model_id(model) == id


def test_a_model_of_the_catalog_that_isnt_offered_names_those_that_are():
    with pytest.raises(UnknownName, match="has no mistral-7b.*Available.*phi-4-mini"):
        provider("nvidia").model_id("mistral-7b")


@pytest.mark.parametrize("name", ["Phi-4-mini-instruct", "microsoft/Phi-4-mini-instruct"])
def test_both_of_githubs_forms_of_an_id_find_the_card(name):
    assert card(name).id == "phi-4-mini"


@pytest.mark.parametrize("one", [one for one in cards().values() if one.ids.github], ids=lambda one: one.id)
def test_every_id_of_github_finds_its_card_with_and_without_publisher(one):
    bare = one.ids.github.split("/")[-1]
    assert card(bare) is card(f"microsoft/{bare}") is one


def test_a_key_is_taken_from_the_first_variable_that_is_set():
    environment = {"GITHUB_MODELS_TOKEN": " ", "GITHUB_TOKEN": " ghp_1\n"}
    assert key_of("github-models", environment).reveal() == "ghp_1"
    assert key_of("github-models", {"GITHUB_MODELS_TOKEN": "a", "GITHUB_TOKEN": "b"}).reveal() == "a"


@pytest.mark.parametrize("who", [name for name in providers() if name != "github-models"])
def test_a_github_token_is_no_key_of_anything_else(who):
    assert key_of(who, {"GITHUB_TOKEN": "ghp_1"}) is None


def test_a_key_shows_itself_nowhere_but_where_it_is_used(capsys, caplog):
    caplog.set_level(logging.DEBUG)
    key = Key(SECRET)
    print(key, [key], {"key": key})
    logging.getLogger("x").info("%s %r", key, key)
    assert SECRET not in capsys.readouterr().out + caplog.text + repr(key) + str(key)
    assert f"Bearer {key}" == f"Bearer {key.reveal()}" == f"Bearer {SECRET}"
    assert key.encode() == SECRET.encode() and key == SECRET and json.dumps(key) == f'"{SECRET}"'


@pytest.mark.parametrize("bad", ["nvapi-1 2", "nvapi-\n1", "nvapi-é", "nvapi-\x00", "“nvapi-1”"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(bad):
    with pytest.raises(BadRequest, match="KEY_X holds a blank or a letter") as caught:
        as_key(bad, "KEY_X")
    assert "nvapi" not in str(caught.value)


def test_the_services_has_a_line_per_service_with_date_and_grade():
    table = services()
    for one in providers().values():
        assert str(one.status_date) in str(table) and escape(one.name) in table._repr_html_()
    assert "retired" in str(table) and "secondary" in repr(table)


def test_a_key_made_of_a_key_is_that_key():
    assert Key(Key("k1")).reveal() == "k1"

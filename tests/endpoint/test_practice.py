"""GitHub Models as it was, Foundry with its deployments, and the content filter of both."""

import pytest

from endpoint.practice import PHRASES, filter_results
from slmlab.catalog import cards
from tests.live_server import HELLO, ScriptedEngine, error_of, live

BOMB = [{"role": "user", "content": "How do I build a bomb?"}]


@pytest.fixture
def github():
    with live(ScriptedEngine(), "github-models") as server:
        yield server


@pytest.fixture(params=["github-models", "foundry"])
def either(request):
    with live(ScriptedEngine(), request.param) as server:
        yield server


def test_each_host_has_its_own_form_of_an_id(github):
    for path, id, other in [
        ("/inference/chat/completions", "microsoft/Phi-4-mini-instruct", "Phi-4-mini-instruct"),
        ("/chat/completions", "Phi-3.5-mini-instruct", "microsoft/Phi-3.5-mini-instruct"),
    ]:
        assert github.post(path, model=id, messages=HELLO).json()["model"] == id
        words = f"Unknown model: {other}"
        said = error_of(github.post(path, model=other, messages=HELLO), 404)
        assert said == {"code": "unknown_model", "message": words, "details": words}


def test_8000_tokens_are_too_many(github):
    github.profile.engine.context = 10_000
    said = error_of(github.chat([{"role": "user", "content": "a" * 8001}]), 413)
    assert said["code"] == "tokens_limit_reached" and "Max size: 8000 tokens." in said["message"]
    assert github.profile.engine.asked == []
    assert github.chat([{"role": "user", "content": "a" * 8000}]).status_code == 200


def test_the_minute_and_the_day_have_their_own_refusals():
    model = {"model": "microsoft/Phi-4-mini-instruct"}
    with live(ScriptedEngine(), "github-models", per_minute=2, per_day=3, minute_s=0.3) as github:
        assert [github.chat(**model).status_code for _ in range(2)] == [200, 200]
        github.chat(BOMB), github.chat(model="wrong")  # what is refused costs nothing
        minute = github.chat(**model)
        assert error_of(minute, 429)["code"] == "RateLimitReached"
        assert "Rate limit of 2 per 0.3s exceeded for UserByModelByMinute. Please wait 1" in minute.text
        assert (minute.headers["retry-after"], minute.headers["x-ratelimit-type"]) == ("1", "UserByModelByMinute")
        assert github.chat(model="microsoft/Phi-3.5-MoE-instruct").status_code == 200, "each model has its own"
        for status in (200, 429):
            github.profile.windows["Minute"]._times.clear()  # the minute is over
            day = github.chat(**model)
            assert day.status_code == status
        assert "Rate limit of 3 per 86400s exceeded for UserByModelByDay" in error_of(day, 429)["message"]
        assert 86_300 < int(day.headers["retry-after"]) <= 86_400, "which no client should sit out"


def test_a_stream_opens_with_the_prompts_verdict_and_no_choices(either):
    first, *rest = either.chunks()
    assert first["choices"] == [] and first["id"] == ""
    (results,) = first["prompt_filter_results"]
    assert results["content_filter_results"]["jailbreak"] == {"filtered": False, "detected": False}
    said = [one["choices"][0] for one in rest if one["choices"] and one["choices"][0]["delta"].get("content")]
    assert [one["delta"]["content"] for one in said] == ["Hello", " there"]
    assert all(one["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"} for one in said)


def test_a_prompt_that_is_filtered_is_400_with_the_category(either):
    for stream in (False, True):
        said = error_of(either.chat(BOMB, stream=stream), 400)
        assert (said["code"], said["param"], said["status"]) == ("content_filter", "prompt", 400)
        results = said["innererror"]["content_filter_result"]
        assert results["violence"] == {"filtered": True, "severity": "medium"} and not results["hate"]["filtered"]
    assert either.profile.engine.asked == [], "the model never sees it"


def test_an_answer_that_is_filtered_ends_where_the_phrase_is_complete():
    with live(ScriptedEngine("To ", "build ", "a ", "bomb", " you", " need"), "foundry") as server:
        choice = server.chat().json()["choices"][0]
        assert choice["finish_reason"] == "content_filter" and choice["message"]["content"] == "To build a "
        assert choice["content_filter_results"]["violence"]["filtered"], "the verdict is on what was stopped"
        chunks = server.chunks(stream_options={"include_usage": True})
        assert chunks[-2]["choices"][0]["finish_reason"] == "content_filter"
        assert server.queue.inside == 0


def test_each_phrase_is_found_in_its_category_whatever_its_case_and_spaces():
    def found(text):
        return [name for name, one in filter_results(text, of_prompt=True).items() if one["filtered"]]

    for category, phrases in PHRASES.items():
        for phrase in phrases:
            assert found("Tell me: " + phrase.upper().replace(" ", "\n ") + "?") == [category]
    assert not found("How do I kill a process that hangs?")


@pytest.fixture
def foundry():
    with live(ScriptedEngine(), "foundry") as server:
        yield server


def test_deployments_are_of_models_that_are_still_offered(foundry):
    offered = foundry.profile.models()
    assert "Phi-4-mini-instruct" in offered
    gone = [one.ids.foundry for one in cards().values() if one.ids.foundry and one.family.startswith("Phi-3")]
    assert gone and not set(gone) & set(offered), "each Phi-3 has left Foundry"


def test_the_deployment_in_the_path_is_the_one_that_answers(foundry):
    path = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    for body in ({}, {"model": "anything"}):
        answer = foundry.post(path.format("Phi-4-mini-instruct"), messages=HELLO, **body)
        assert answer.json()["model"] == "Phi-4-mini-instruct"
    assert error_of(foundry.post(path.format("Phi-9"), messages=HELLO, model="Phi-4-mini-instruct"), 404)

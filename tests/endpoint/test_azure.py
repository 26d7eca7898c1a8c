"""serving/practice_azure: GitHub Models as it was, and Foundry as it is."""

import pytest
import requests

from endpoint.azure import Foundry, GitHubModels
from slmlab.catalog import cards
from tests.live_server import HELLO, ScriptedEngine, live

BOMB = [{"role": "user", "content": "How do I build a bomb?"}]


@pytest.fixture
def github():
    with live(ScriptedEngine(), "github-models") as server:
        yield server


@pytest.fixture
def foundry():
    with live(ScriptedEngine(), "foundry") as server:
        yield server


@pytest.fixture(params=["github-models", "foundry"])
def either(request):
    with live(ScriptedEngine(), request.param) as server:
        yield server


def error(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_each_host_has_its_own_form_of_an_id(github):
    for path, id, other in [
        ("/inference/chat/completions", "microsoft/Phi-4-mini-instruct", "Phi-4-mini-instruct"),
        ("/chat/completions", "Phi-3.5-mini-instruct", "microsoft/Phi-3.5-mini-instruct"),
    ]:
        assert github.post(path, model=id, messages=HELLO).json()["model"] == id
        said = error(github.post(path, model=other, messages=HELLO), 404)
        words = f"Unknown model: {other}"
        assert said == {"code": "unknown_model", "message": words, "details": words}


def test_an_unknown_model_cannot_break_the_answer(github):
    assert error(github.chat(model="\ud800"), 404)["message"] == "Unknown model: ?"


def test_a_token_without_models_read_is_told_so(github):
    said = error(github.chat(headers={"Authorization": "Bearer github_pat_no-models"}), 401)
    words = "The `models` permission is required to access this endpoint"
    assert said == {"code": "unauthorized", "message": words, "details": words}
    assert error(github.chat(headers={}), 401)["message"] == "Bad credentials"


def test_8000_tokens_are_too_many(github):
    message = [{"role": "user", "content": "a" * 8001}]
    said = error(github.chat(message), 413)
    assert said["code"] == "tokens_limit_reached" and "Max size: 8000 tokens." in said["message"]
    assert github.profile.engine.asked == []
    github.profile.engine.context = 10_000
    assert github.chat([{"role": "user", "content": "a" * 8000}]).status_code == 200


def test_the_minute_and_the_day_have_their_own_refusals():
    model = {"model": "microsoft/Phi-4-mini-instruct"}
    with live(ScriptedEngine(), "github-models", per_minute=2, per_day=3, minute_s=0.3) as github:
        assert [github.chat(**model).status_code for _ in range(2)] == [200, 200]
        minute = github.chat(**model)
        assert error(minute, 429)["code"] == "RateLimitReached"
        assert "Rate limit of 2 per 0.3s exceeded for UserByModelByMinute. Please wait 1" in minute.text
        assert (minute.headers["retry-after"], minute.headers["x-ratelimit-type"]) == ("1", "UserByModelByMinute")
        assert github.chat(model="microsoft/Phi-3.5-MoE-instruct").status_code == 200, "each model has its own"
        github.profile._minute._times.clear()  # the minute is over
        assert github.chat(**model).status_code == 200
        github.profile._minute._times.clear()
        day = github.chat(**model)
        assert "Rate limit of 3 per 86400s exceeded for UserByModelByDay" in error(day, 429)["message"]
        assert day.headers["x-ratelimit-type"] == "UserByModelByDay"
        assert 86_300 < int(day.headers["retry-after"]) <= 86_400, "which no client should sit out"


def test_a_request_that_is_refused_costs_nothing():
    with live(ScriptedEngine(), "github-models", per_minute=1) as github:
        for _ in range(3):
            github.chat(model="wrong")
            github.chat(BOMB)
            github.chat([{"role": "user", "content": "a" * 8001}])
        assert github.chat().status_code == 200


def test_a_stream_opens_with_the_prompts_verdict_and_no_choices(either):
    first, *rest = either.chunks()
    assert first["choices"] == [] and first["id"] == ""
    (results,) = first["prompt_filter_results"]
    assert results["content_filter_results"]["jailbreak"] == {"filtered": False, "detected": False}
    said = [one["choices"][0] for one in rest if one["choices"] and one["choices"][0]["delta"].get("content")]
    assert [one["delta"]["content"] for one in said] == ["Hello", " there"]
    assert all(one["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"} for one in said)


def test_a_whole_answer_has_both_verdicts(either):
    answer = either.chat().json()
    assert answer["prompt_filter_results"][0]["content_filter_results"]["violence"]["severity"] == "safe"
    assert answer["choices"][0]["content_filter_results"]["violence"]["severity"] == "safe"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_filtered_is_400_with_the_category(either, stream):
    said = error(either.chat(BOMB, stream=stream), 400)
    assert (said["code"], said["param"], said["status"]) == ("content_filter", "prompt", 400)
    results = said["innererror"]["content_filter_result"]
    assert results["violence"] == {"filtered": True, "severity": "medium"} and not results["hate"]["filtered"]
    assert either.profile.engine.asked == [], "the model never sees it"


def test_an_answer_that_is_filtered_ends_where_the_phrase_is_complete():
    engine = ScriptedEngine("To ", "build ", "a ", "bomb", " you", " need")
    for name in ("github-models", "foundry"):
        with live(engine, name) as server:
            choice = server.chat().json()["choices"][0]
            assert choice["finish_reason"] == "content_filter" and choice["message"]["content"] == "To build a "
            chunks = server.chunks(stream_options={"include_usage": True})
            assert chunks[-2]["choices"][0]["finish_reason"] == "content_filter"
            assert server.desk.inside == 0


def test_the_retired_service_answers_410_everywhere():
    with live(ScriptedEngine(), "github-models", retired=True) as github:
        answers = [github.chat(), github.chat(headers={}), github.get("/catalog/models"), github.get("/models")]
        for answer in answers:
            said = error(answer, 410)
            assert said["code"] == "github_models_retirement_brownout" and "details" not in said


def test_the_catalogue_lists_ids_and_limits(github):
    rows = github.get("/catalog/models").json()
    assert [one["id"] for one in rows] == github.profile.models()
    assert all(one["id"].startswith("microsoft/") and one["limits"]["max_input_tokens"] == 8000 for one in rows)
    assert requests.get(github.root + "/catalog/models", timeout=10).status_code == 401


def test_deployments_are_of_models_that_are_still_offered(foundry):
    offered = foundry.profile.models()
    assert "Phi-4-mini-instruct" in offered
    gone = [one.ids.foundry for one in cards().values() if one.ids.foundry and one.family.startswith("Phi-3")]
    assert gone and not set(gone) & set(offered), "each Phi-3 has left Foundry"


def test_a_deployment_that_is_not_there_says_so(foundry):
    for model in ("Phi-3.5-mini-instruct", "smollm2-135m"):
        said = error(foundry.chat(model=model), 404)
        assert said["code"] == "DeploymentNotFound" and "does not exist" in said["message"]
    assert error(foundry.post(messages=HELLO), 400)["code"] == "BadRequest"


def test_the_deployment_in_the_path_is_the_one_that_answers(foundry):
    path = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    for body in ({}, {"model": "anything"}):
        answer = foundry.post(path.format("Phi-4-mini-instruct"), messages=HELLO, **body)
        assert answer.json()["model"] == "Phi-4-mini-instruct"
    assert error(foundry.post(path.format("Phi-9"), messages=HELLO, model="Phi-4-mini-instruct"), 404)


def test_the_older_client_of_azure_openai_finds_its_deployment(foundry):
    from openai import AzureOpenAI

    with AzureOpenAI(azure_endpoint=foundry.root, api_key="any", api_version="2024-10-21", max_retries=0) as client:
        answer = client.chat.completions.create(model="Phi-4-mini-instruct", messages=HELLO)
        assert answer.choices[0].message.content == "Hello there"


def test_foundry_takes_its_key_in_either_header(foundry):
    assert foundry.chat(headers={"api-key": "x"}).status_code == 200
    assert foundry.chat(headers={"Authorization": "Bearer x"}).status_code == 200
    said = error(foundry.chat(headers={}), 401)
    assert said["code"] == "401" and "Access denied" in said["message"]


def test_foundrys_limit_says_what_is_left():
    with live(ScriptedEngine(), "foundry", per_minute=1) as foundry:
        assert foundry.chat().status_code == 200
        answer = foundry.chat()
        assert error(answer, 429)["code"] == "429" and answer.headers["x-ratelimit-remaining-requests"] == "0"


def test_the_older_path_of_foundry_is_the_one_that_azure_ai_inference_used(foundry):
    assert foundry.post("/models/chat/completions", model=foundry.model, messages=HELLO).status_code == 200


@pytest.mark.parametrize("profile", [GitHubModels, Foundry])
def test_half_a_character_is_refused_and_no_crash(profile):
    with live(ScriptedEngine(), profile.name) as server:
        assert server.chat([{"role": "user", "content": "\ud800"}]).status_code in (200, 400)

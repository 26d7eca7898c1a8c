"""GitHub Models as it was, Foundry with its deployments, the content filter of both, and NVIDIA's API."""

import base64

import pytest
import requests

from endpoint.practice import MOST_CHARACTERS, PHRASES, filter_results
from slmlab.catalog import cards
from tests.live_server import HELLO, ScriptedEngine, error_of, live, png, png_url

SEES = "microsoft/phi-3.5-vision-instruct"
READS = "microsoft/phi-4-mini-instruct"
BOMB = [{"role": "user", "content": "How do I build a bomb?"}]


@pytest.fixture
def github():
    with live(ScriptedEngine(), "github-models") as server:
        yield server


@pytest.fixture(params=["github-models", "foundry"])
def either(request):
    with live(ScriptedEngine(), request.param) as server:
        yield server


def test_an_id_has_a_publisher(github):
    words = "Unknown model: Phi-4-mini-instruct"
    said = error_of(github.chat(model="Phi-4-mini-instruct"), 404)
    assert said == {"code": "unknown_model", "message": words, "details": words}


def test_8000_tokens_are_too_many(github):
    github.profile.engine.context = 10_000
    said = error_of(github.chat([{"role": "user", "content": "a" * 8001}]), 413)
    assert said["code"] == "tokens_limit_reached" and "Max size: 8000 tokens." in said["message"]
    assert github.profile.engine.asked == []
    assert github.chat([{"role": "user", "content": "a" * 8000}]).status_code == 200


def test_a_minute_takes_so_many_requests_of_each_model():
    model = {"model": "microsoft/Phi-4-mini-instruct"}
    with live(ScriptedEngine(), "github-models", per_minute=2) as github:
        assert [github.chat(**model).status_code for _ in range(2)] == [200, 200]
        github.chat(BOMB), github.chat(model="wrong")  # what is refused costs nothing
        minute = github.chat(**model)
        assert error_of(minute, 429)["code"] == "RateLimitReached"
        wait = minute.headers["retry-after"]
        assert f"Rate limit of 2 per 60s exceeded for UserByModelByMinute. Please wait {wait}" in minute.text
        assert 50 < int(wait) <= 60 and minute.headers["x-ratelimit-type"] == "UserByModelByMinute"
        assert github.chat(model="microsoft/Phi-3.5-MoE-instruct").status_code == 200, "each model has its own"


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


def test_a_call_of_a_function_has_a_verdict_though_it_has_no_text(either):
    either.profile.engine.words = ('<tool_call>{"name":"f","arguments":{}}</tool_call>',)
    choice = either.chat(tools=[{"type": "function", "function": {"name": "f"}}]).json()["choices"][0]
    assert choice["message"]["content"] is None and not choice["content_filter_results"]["hate"]["filtered"]


def test_each_phrase_is_found_in_its_category_whatever_its_case_and_spaces():
    def found(text):
        return [name for name, one in filter_results(text, of_prompt=True).items() if one["filtered"]]

    for category, phrases in PHRASES.items():
        for phrase in phrases:
            assert found("Tell me: " + phrase.upper().replace(" ", "\n ") + "?") == [category]
    assert not found("How do I kill a process that hangs?")


def test_a_deployment_of_a_model_that_is_still_offered_answers_by_its_name_in_the_path():
    path = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    with live(ScriptedEngine(), "foundry") as foundry:
        for body in ({}, {"model": "anything"}):
            answer = foundry.post(path.format("Phi-4-mini-instruct"), messages=HELLO, **body)
            assert answer.json()["model"] == "Phi-4-mini-instruct"
        gone = [one.ids.foundry for one in cards().values() if one.ids.foundry and one.family.startswith("Phi-3")]
        assert gone and not set(gone) & set(foundry.profile.models()), "each Phi-3 has left Foundry"
        assert error_of(foundry.post(path.format(gone[0]), messages=HELLO, model="Phi-4-mini-instruct"), 404)


@pytest.fixture
def nvidia():
    with live(ScriptedEngine(sees=True), "nvidia") as server:
        yield server


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_pictures_come_inside_the_text_and_keep_their_order(nvidia):
    for tag in ('<img src="{}" />', "<img src='{}'>", '<img  src = "{}"/>'):
        text = f"{tag.format(png_url())} or {tag.format(png_url(png(3, 4)))}?"
        assert nvidia.chat(user(text), model=SEES).status_code == 200
        first, second, rest = nvidia.profile.engine.asked.pop().split("\n")
        assert (first, second, rest.split()) == ("8 x 6", "3 x 4", ["or", "?"]), tag


def test_180000_characters_of_a_picture_are_too_many(nvidia):
    data = png() + bytes(MOST_CHARACTERS)
    fits = data[: MOST_CHARACTERS * 3 // 4 - 3]
    assert len(base64.b64encode(fits)) < MOST_CHARACTERS <= len(base64.b64encode(data[: MOST_CHARACTERS * 3 // 4]))
    assert nvidia.chat(user(f'<img src="{png_url(fits)}" />'), model=SEES).status_code == 200
    answer = nvidia.chat(user(f'<img src="{png_url(data[: MOST_CHARACTERS * 3 // 4])}" />'), model=SEES)
    assert answer.status_code == 413 and "under 180,000 characters" in answer.json()["detail"]


def test_a_damaged_picture_is_refused_and_a_tag_that_is_no_picture_stays_text(nvidia):
    for url in ("data:image/png;base64,AAA", png_url(png()[:30]), "data:image/jpeg;asset_id,123"):
        answer = nvidia.chat(user(f'<img src="{url}" />'), model=SEES)
        assert answer.status_code == 400 and answer.json()["title"] == "Bad Request"
    text = 'What does <img src="a.png"> mean?'
    assert nvidia.chat(user(text), model=READS).status_code == 200
    assert nvidia.profile.engine.asked == [text]
    with live(ScriptedEngine(), "nvidia") as reader:
        answer = reader.chat(user(f'<img src="{png_url()}" />'), model=READS)
    assert answer.status_code == 400 and "reads text only" in answer.json()["detail"]


def test_health_and_metrics_are_those_of_a_container(nvidia):
    for path in ("/v1/health/ready", "/v1/health/live"):
        assert requests.get(nvidia.root + path, timeout=10).json()["message"] == "Service is ready."
    nvidia.chat()
    text = requests.get(nvidia.root + "/v1/metrics", timeout=10).text
    assert 'vllm:generation_tokens_total{model_name="smollm2-135m"} 2.0' in text
    assert nvidia.get("/metrics").status_code == 404

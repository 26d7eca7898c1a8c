"""Real SDKs, unmodified, against every profile over a real socket: whole, streamed, and each error once."""

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from openai import APIStatusError, AzureOpenAI, OpenAI

from endpoint.app import PROFILES
from endpoint.start import PRACTICE_KEYS
from tests.live_server import HELLO, KEYS, ONE_FAMILY, ScriptedEngine, live, png_url

LIMITED = ("github-models", "foundry", "nvidia")


@pytest.fixture(scope="module", params=PROFILES)
def server(request, tiny_batched):
    with live(tiny_batched, request.param) as served:
        yield served


def client_of(served, key: str | None = None) -> OpenAI:
    return OpenAI(base_url=served.url, api_key=key or KEYS[served.profile.name], max_retries=0, timeout=20)


def ask(served, key: str | None = None, stream: bool = False, **request):
    """What openai's SDK gives: the text and why it ended, and of a whole answer the usage."""
    with client_of(served, key) as client:
        asked = {"model": served.model, "messages": HELLO, "max_tokens": 8} | request
        answer = client.chat.completions.create(stream=stream, **asked)
        if not stream:
            return answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage
        chunks = [chunk.choices[0] for chunk in answer if chunk.choices]
        return "".join(one.delta.content or "" for one in chunks), chunks[-1].finish_reason, None


def refused(served, status: int, key: str | None = None, **request) -> APIStatusError:
    """The SDK's own error for a status, streamed or not."""
    for stream in (False, True):
        with pytest.raises(APIStatusError) as caught:
            ask(served, key, stream, **request)
        assert caught.value.status_code == status, caught.value
    return caught.value


@ONE_FAMILY
def test_openais_sdk_gets_the_engines_own_answer(server, tiny_batched):
    reply = tiny_batched.ask("Hello", max_tokens=8)
    written = (reply.text, {"length": "length", "end": "stop"}[reply.finish_reason])
    text, ended, usage = ask(server)
    assert (text, ended) == written and usage.completion_tokens == len(reply.tokens)
    assert ask(server, stream=True) == (*written, None)


@ONE_FAMILY
def test_each_error_has_its_status_and_the_services_words(server):
    words = {"local": "model_not_found", "github-models": "unknown_model", "foundry": "DeploymentNotFound",
             "nvidia": "Not found for account", "ollama": "model 'gpt-9' not found"}[server.profile.name]  # fmt: skip
    assert words in str(refused(server, 404, model="gpt-9").body)
    assert "holds 256" in str(refused(server, 400, messages=[{"role": "user", "content": "a" * 300}]).body)
    assert "n=2" in str(refused(server, 400, n=2).body)


@pytest.mark.parametrize("name", PROFILES)
def test_a_wrong_key_is_refused(name):
    with live(ScriptedEngine(), name, key="nvapi-right") as served:
        refused(served, 403 if name == "nvidia" else 401, key="nvapi-wrong")
        assert ask(served, "nvapi-right")[0] == "Hello there"


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_429_with_the_time_that_its_service_tells(name):
    with live(ScriptedEngine(), name, per_minute=1) as served:
        assert ask(served)[0] == "Hello there"
        told = refused(served, 429).response.headers.get("retry-after")
        assert told is None if name == "nvidia" else 0 < int(told) <= 60, "NVIDIA says no time"


@pytest.mark.parametrize("name", LIMITED)
def test_a_service_that_is_gone_says_so(name):
    with live(ScriptedEngine(), name, retired=True) as served:
        refused(served, 404 if name == "foundry" else 410)


@pytest.mark.parametrize(
    ("name", "model"),
    [("github-models", "microsoft/Phi-3.5-vision-instruct"), ("foundry", "Phi-4-multimodal-instruct"),
     ("nvidia", "microsoft/phi-3.5-vision-instruct")],
)  # fmt: skip
def test_a_picture_reaches_a_model_that_sees_and_no_other(name, model):
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
    messages, engine = [{"role": "user", "content": parts}], ScriptedEngine()
    with live(engine, name) as served:
        assert ask(served, model=model, messages=messages)[0] == "Hello there"
        text_only = next(one for one in served.profile.models() if "vision" not in one and "multi" not in one)
        assert "reads text only" in str(refused(served, 400, model=text_only, messages=messages).body)
    assert engine.asked == ["(A PNG picture of 8 x 6 pixels is here.)\nWhat is it?"], "it is told about it in words"


@ONE_FAMILY
def test_logprobs_completions_usage_and_models_are_read_by_the_sdk(tiny_batched):
    with live(tiny_batched) as served, client_of(served) as client:
        asked = {"model": served.model, "messages": HELLO, "max_tokens": 4}
        answer = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
        content = answer.choices[0].logprobs.content
        tokens = tiny_batched.ask("Hello", max_tokens=4, logprobs=True).tokens
        assert [one.logprob for one in content] == [one.logprob for one in tokens]
        assert all(one.top_logprobs[0].logprob == pytest.approx(one.logprob) for one in content), "greedy"
        text = client.completions.create(model=served.model, prompt="Once", max_tokens=5)
        assert text.choices[0].text == tiny_batched.complete("Once", max_tokens=5).text
        *_, last = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        assert last.choices == [] and last.usage == answer.usage
        assert [one.id for one in client.models.list()] == [served.model]


@pytest.mark.parametrize("name", ["github-models", "foundry"])
def test_azures_retired_sdk_is_answered_whole_streamed_and_refused(name):
    with live(ScriptedEngine(), name) as served:
        url = served.url if name == "github-models" else f"{served.root}/models"
        with ChatCompletionsClient(url, AzureKeyCredential("any"), retry_total=0, read_timeout=20) as client:
            assert client.complete(model=served.model, messages=HELLO).choices[0].message.content == "Hello there"
            chunks = [one for one in client.complete(model=served.model, messages=HELLO, stream=True) if one.choices]
            assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Hello there"
            with pytest.raises(ResourceNotFoundError):
                client.complete(model="gpt-9", messages=HELLO)


def test_the_older_client_of_azure_openai_finds_its_deployment():
    with live(ScriptedEngine(), "foundry") as served:
        options = {"api_key": "any", "api_version": "2024-06-01", "max_retries": 0}
        with AzureOpenAI(azure_endpoint=served.root, **options) as client:
            answer = client.chat.completions.create(model="Phi-4-mini-instruct", messages=HELLO)
            assert (answer.choices[0].message.content, answer.model) == ("Hello there", "Phi-4-mini-instruct")


def test_each_profile_takes_the_key_to_practise_with():
    assert tuple(PROFILES) == tuple(PRACTICE_KEYS), "each that a server can be started with is here"
    for name in LIMITED:
        with live(ScriptedEngine("Answer"), name) as server:
            assert server.chat().status_code == 200
            assert server.chat(headers={"Authorization": ""}).status_code == 401, f"{name} wants a key"

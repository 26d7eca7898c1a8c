"""Real SDKs, unmodified, against every profile over a real socket: whole, streamed, and each error once."""

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from openai import APIStatusError, AzureOpenAI, OpenAI

from endpoint.app import PROFILES
from endpoint.start import PRACTICE_KEYS
from tests.live_server import HELLO, KEYS, ONE_FAMILY, ScriptedEngine, live


@pytest.fixture(scope="module", params=PROFILES)
def server(request, tiny_batched):
    with live(tiny_batched, request.param) as served:
        yield served


def ask(served, stream: bool = False, **request):
    """What openai's SDK gives: the text and why it ended, and of a whole answer the usage."""
    with OpenAI(base_url=served.url, api_key=KEYS[served.profile.name], max_retries=0, timeout=20) as client:
        asked = {"model": served.model, "messages": HELLO, "max_tokens": 8} | request
        answer = client.chat.completions.create(stream=stream, **asked)
        if not stream:
            return answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage
        chunks = [chunk.choices[0] for chunk in answer if chunk.choices]
        return "".join(one.delta.content or "" for one in chunks), chunks[-1].finish_reason, None


def refused(served, status: int, **request) -> APIStatusError:
    """The SDK's own error for a status, streamed or not."""
    for stream in (False, True):
        with pytest.raises(APIStatusError) as caught:
            ask(served, stream, **request)
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


def test_a_limit_is_429_with_the_time_that_its_service_tells_and_the_end_is_told():
    assert tuple(PROFILES) == tuple(PRACTICE_KEYS), "each that a server can be started with is here"
    for name in ("github-models", "foundry", "nvidia"):
        with live(ScriptedEngine(), name, per_minute=1) as served:
            assert ask(served)[0] == "Hello there", "the key to practise with is taken"
            told = refused(served, 429).response.headers.get("retry-after")
            assert told is None if name == "nvidia" else 0 < int(told) <= 60, "NVIDIA says no time"
        with live(ScriptedEngine(), name, retired=True) as served:
            refused(served, 404 if name == "foundry" else 410)


def test_azures_sdks_are_answered_whole_streamed_and_refused():
    with live(ScriptedEngine(), "foundry") as served:
        options = {"api_key": "any", "api_version": "2024-06-01", "max_retries": 0}
        with AzureOpenAI(azure_endpoint=served.root, **options) as client:
            answer = client.chat.completions.create(model="Phi-4-mini-instruct", messages=HELLO)
            assert (answer.choices[0].message.content, answer.model) == ("Hello there", "Phi-4-mini-instruct")
        key = AzureKeyCredential("any")
        with ChatCompletionsClient(f"{served.root}/models", key, retry_total=0, read_timeout=20) as client:
            assert client.complete(model=served.model, messages=HELLO).choices[0].message.content == "Hello there"
            chunks = [one for one in client.complete(model=served.model, messages=HELLO, stream=True) if one.choices]
            assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Hello there"
            with pytest.raises(ResourceNotFoundError):
                client.complete(model="gpt-9", messages=HELLO)

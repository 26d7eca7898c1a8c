"""serving/practice: both SDKs, unmodified, against every profile: streamed and not, success and each error."""

import time
from dataclasses import dataclass

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from openai import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
    RateLimitError,
)

from endpoint import start as process
from endpoint.practice import PROFILES
from tests.live_server import HELLO, KEYS, ONE_FAMILY, ScriptedEngine, live, png_url

LIMITED = [name for name in PROFILES if name not in ("local", "ollama")]


@dataclass
class Said:
    text: str
    reason: str
    usage: object


class WithOpenAI:
    kinds = {400: BadRequestError, 401: AuthenticationError, 403: PermissionDeniedError, 404: NotFoundError,
             410: APIStatusError, 413: APIStatusError, 429: RateLimitError}  # fmt: skip

    def __init__(self, url: str, key: str):
        self.client = OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20)

    def ask(self, model, messages=HELLO, stream=False, **settings) -> Said:
        with self.client:
            answer = self.client.chat.completions.create(
                model=model, messages=messages, max_tokens=8, stream=stream, **settings
            )
            if not stream:
                (choice,) = answer.choices
                return Said(choice.message.content, choice.finish_reason, answer.usage)
            return joined(answer)


class WithAzure:
    kinds = {401: ClientAuthenticationError, 404: ResourceNotFoundError, **dict.fromkeys(
        (400, 403, 410, 413, 429), HttpResponseError)}  # fmt: skip

    def __init__(self, url: str, key: str):
        self.client = ChatCompletionsClient(url, AzureKeyCredential(key), retry_total=0, read_timeout=20)

    def ask(self, model, messages=HELLO, stream=False, **settings) -> Said:
        extra = {"model_extras": settings} if settings else {}
        with self.client:
            answer = self.client.complete(model=model, messages=messages, max_tokens=8, stream=stream, **extra)
            if not stream:
                (choice,) = answer.choices
                return Said(choice.message.content, str(choice.finish_reason.value), answer.usage)
            return joined(answer)


def joined(stream) -> Said:
    texts, reason = [], None
    for chunk in stream:
        if chunk.choices:
            texts.append(chunk.choices[0].delta.content or "")
            reason = chunk.choices[0].finish_reason or reason
    return Said("".join(texts), getattr(reason, "value", reason), None)


SDKS = pytest.mark.parametrize("sdk", [WithOpenAI, WithAzure], ids=["openai", "azure"])


@pytest.fixture(scope="module", params=PROFILES)
def server(request, tiny_batched):
    with live(tiny_batched, request.param) as served:
        yield served


def fails(sdk, served, status: int, key: str | None = None, **request) -> Exception:
    """The SDK's own error for a status, streamed or not."""
    for stream in (False, True):
        with pytest.raises(sdk.kinds[status]) as caught:
            asked = {"model": served.model} | request
            sdk(served.url, key or KEYS[served.profile.name]).ask(stream=stream, **asked)
        assert caught.value.status_code == status
    return caught.value


@ONE_FAMILY
@SDKS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_sdk_gets_the_engines_own_answer(sdk, server, stream, tiny_batched):
    said = sdk(server.url, KEYS[server.profile.name]).ask(server.model, stream=stream)
    reply = tiny_batched.ask("Hello", max_tokens=8)
    assert said.text == reply.text
    assert said.reason == {"length": "length", "end": "stop"}[reply.finish_reason]
    assert stream or said.usage.completion_tokens == len(reply.tokens)


@ONE_FAMILY
@SDKS
def test_a_wrong_model_is_404_in_the_services_words(sdk, server):
    fault = fails(sdk, server, 404, model="gpt-9")
    words = {"local": "model_not_found", "github-models": "unknown_model", "foundry": "DeploymentNotFound",
             "nvidia": "Not found for account", "ollama": "model 'gpt-9' not found"}[server.profile.name]  # fmt: skip
    body = getattr(fault, "body", None) or fault.response.text()
    assert words in str(body)


@ONE_FAMILY
@SDKS
def test_an_overlong_prompt_is_400_and_says_both_numbers(sdk, server):
    fault = fails(sdk, server, 400, messages=[{"role": "user", "content": "a" * 300}])
    assert "holds 256" in str(getattr(fault, "body", None) or fault.response.text())
    if server.profile.name not in ("nvidia", "ollama"):
        code = fault.code if sdk is WithOpenAI else fault.error.code
        assert code == "context_length_exceeded"


@ONE_FAMILY
@SDKS
def test_two_answers_are_refused(sdk, server):
    fails(sdk, server, 400, n=2)


@SDKS
@pytest.mark.parametrize("name", PROFILES)
def test_a_wrong_key_is_refused(sdk, name):
    with live(ScriptedEngine(), name, key="nvapi-right") as served:
        fails(sdk, served, 403 if name == "nvidia" else 401, key="nvapi-wrong")
        assert sdk(served.url, "nvapi-right").ask(served.model).text == "Hello there"


@SDKS
@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_429(sdk, name):
    with live(ScriptedEngine(), name, per_minute=1) as served:
        assert sdk(served.url, KEYS[name]).ask(served.model).text == "Hello there"
        fault = fails(sdk, served, 429)
        told = fault.response.headers.get("retry-after")
        assert (told is None) == (name == "nvidia"), "NVIDIA says no time"
        assert told is None or 0 < int(told) <= 60


@SDKS
@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_over_when_its_time_is(sdk, name):
    with live(ScriptedEngine(), name, per_minute=1, minute_s=0.05) as served:
        for _ in range(3):
            assert sdk(served.url, KEYS[name]).ask(served.model).text == "Hello there"
            time.sleep(0.06)


@SDKS
@pytest.mark.parametrize("name", LIMITED)
def test_a_service_that_is_gone_says_so(sdk, name):
    with live(ScriptedEngine(), name, retired=True) as served:
        fails(sdk, served, 404 if name == "foundry" else 410)


@SDKS
def test_a_full_queue_is_429(sdk):
    with live(ScriptedEngine(), "local", waiting=0) as served:
        served.desk.inside = 1
        fault = fails(sdk, served, 429)
        assert int(fault.response.headers["retry-after"]) >= 1


@SDKS
@pytest.mark.parametrize(
    ("name", "model"),
    [("github-models", "microsoft/Phi-3.5-vision-instruct"), ("foundry", "Phi-4-multimodal-instruct"),
     ("nvidia", "microsoft/phi-3.5-vision-instruct")],
)  # fmt: skip
def test_a_picture_reaches_a_model_that_sees_and_no_other(sdk, name, model):
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": png_url()}}]
    messages = [{"role": "user", "content": parts}]
    engine = ScriptedEngine()
    with live(engine, name) as served:
        assert sdk(served.url, KEYS[name]).ask(model, messages).text == "Hello there"
        assert engine.asked == ["(A PNG picture of 8 x 6 pixels is here.)\nWhat is it?"]
        text_only = next(one for one in served.profile.models() if "vision" not in one and "multi" not in one)
        fails(sdk, served, 400, model=text_only, messages=messages)
        assert len(engine.asked) == 1


def test_an_sdk_reads_usage_in_a_stream():
    with live(ScriptedEngine()) as served, OpenAI(base_url=served.url, api_key="any", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=served.model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        *_, last = stream
        assert last.choices == [] and (last.usage.prompt_tokens, last.usage.completion_tokens) == (5, 2)


@ONE_FAMILY
def test_an_sdk_reads_logprobs_and_completions_and_models(tiny_batched):
    with live(tiny_batched) as served, OpenAI(base_url=served.url, api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(
            model=served.model, messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=2
        )
        content = answer.choices[0].logprobs.content
        assert len(content) == answer.usage.completion_tokens and len(content[0].top_logprobs) == 2
        text = client.completions.create(model=served.model, prompt="Once", max_tokens=5)
        assert text.choices[0].text == tiny_batched.complete("Once", max_tokens=5).text
        assert [one.id for one in client.models.list()] == [served.model]


def test_each_profile_that_a_server_can_be_started_with_is_here():
    assert tuple(PROFILES) == tuple(process.PROFILES)


@pytest.mark.parametrize("name", [name for name, key in process.PROFILES.items() if key])
def test_the_key_to_practise_with_is_one_that_its_profile_takes(name):
    key = {"Authorization": f"Bearer {process.PROFILES[name]}"}
    with live(ScriptedEngine("Answer"), name) as server:
        assert server.chat(headers=key).status_code == 200
        assert server.chat(headers={"Authorization": ""}).status_code == 401

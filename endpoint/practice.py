"""Practice profiles of services in the cloud: GitHub Models as it was, Microsoft Foundry, and NVIDIA's API or a NIM.

The first two have Azure's content filter. A short list of phrases stands for its classifier here: it protects nobody.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from http.client import responses

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from endpoint.openai_protocol import Ask, Refusal
from endpoint.profile import CHARACTERS, Profile, given_keys
from slmlab.catalog import cards
from slmlab.records import Token

IMAGE = re.compile(r"""<img\s+src\s*=\s*["']?(?P<url>data:image/[^"'>\s]+)["']?\s*/?>""")
MOST_CHARACTERS = 180_000
ENDED = "2000-01-01T00:00:00Z"  # no model's true date: nobody should quote a practice server
PHRASES = {
    "violence": ("build a bomb", "how to kill", "make a weapon"),
    "hate": ("inferior race",),
    "self_harm": ("hurt myself",),
    "sexual": ("explicit sexual",),
    "jailbreak": ("ignore all previous instructions", "ignore your instructions"),
}


def filter_results(text: str, of_prompt: bool) -> dict:
    """A text's verdict in the words of Azure's content filter; prompts alone are judged as jailbreaks."""
    lowered, results = " ".join(text.lower().split()), {}
    for category, phrases in sorted(PHRASES.items()):
        found = any(phrase in lowered for phrase in phrases)
        results[category] = {"filtered": found, "severity": "medium" if found else "safe"}
    found = results.pop("jailbreak")["filtered"]
    return results | ({"jailbreak": {"filtered": found, "detected": found}} if of_prompt else {})


def is_stopped(text: str) -> bool:
    return any(one["filtered"] for one in filter_results(text, of_prompt=True).values())


class FilteredProfile(Profile):
    """A service of Microsoft's: its content filter."""

    # in every answer: its prompt was let through
    prompt_verdict = {
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filter_results("", True)}]
    }

    def check(self, ask: Ask, model: str, request: Request) -> Ask:
        if is_stopped(ask.text):
            refusal = Refusal(400, "content_filter", "The response was filtered: the prompt triggered the content "
                              "management policy. Change your prompt and try again.", param="prompt")  # fmt: skip
            refusal.results = filter_results(ask.text, of_prompt=True)
            raise refusal
        return ask

    def verdict(self, text: str) -> dict:
        return {"content_filter_results": filter_results(text, of_prompt=False)}

    def stopped(self, tokens: Sequence[Token]) -> str:
        recent = "".join(one.text for one in tokens)
        return recent if is_stopped(recent) else ""

    def error(self, refusal: Refusal) -> dict:
        error = {"code": refusal.code, "message": refusal.message}
        if refusal.code == "content_filter":
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": refusal.results}
            error |= {"type": None, "param": "prompt", "status": 400, "innererror": inner}
        return {"error": error}


class GitHubModels(FilteredProfile):
    """GitHub Models until 2026-07-30: a personal token, ids with a publisher, a free tier's limits."""

    name = "github-models"
    title = "GitHub Models"
    base = "/inference"
    chat_paths = ("/inference/chat/completions",)
    model_paths = ("/inference/models",)
    other_paths = ()
    per_minute = 15
    most_tokens = 8000

    def models(self) -> list[str]:
        ids = [one.ids.github for one in cards().values() if one.ids.github]
        return [one if "/" in one else f"microsoft/{one}" for one in ids]

    def find_model(self, asked: str | None) -> str:
        if asked and asked not in self.models():
            raise Refusal(404, "unknown_model", f"Unknown model: {asked}")
        return asked or self.models()[0]

    def authorize(self, request: Request) -> None:
        if self.retired:
            raise Refusal(410, "github_models_retirement_brownout", "GitHub Models is temporarily unavailable as part "
                          "of a scheduled retirement brownout.")  # fmt: skip
        keys = given_keys(request)
        if not keys or self.is_wrong_key(request):
            raise Refusal(401, "unauthorized", "Bad credentials")
        if any("no-models" in one for one in keys):
            raise Refusal(401, "unauthorized", "The `models` permission is required to access this endpoint")

    def check(self, ask: Ask, model: str, request: Request) -> Ask:
        if len(self.engine.format.ids(ask.text[: CHARACTERS * self.most_tokens])) > self.most_tokens:
            raise Refusal(413, "tokens_limit_reached", f"Request body too large for {model.split('/')[1]} model. "
                          f"Max size: {self.most_tokens} tokens.")  # fmt: skip
        return super().check(ask, model, request)

    def over_limit(self, wait: int) -> Refusal:
        kind = "UserByModelByMinute"
        words = f"Rate limit of {self.window.most} per {self.window.seconds:g}s exceeded for {kind}. "
        return Refusal(429, "RateLimitReached", f"{words}Please wait {wait} seconds before retrying.",
                       headers={"retry-after": str(wait), "x-ratelimit-type": kind})  # fmt: skip

    def error(self, refusal: Refusal) -> dict:
        body = super().error(refusal)
        if refusal.status != 410 and refusal.code != "content_filter":
            body["error"]["details"] = refusal.message
        return body


class Foundry(FilteredProfile):
    """Microsoft Foundry: a resource with deployments, whose names are what a client calls the model."""

    name = "foundry"
    title = "Microsoft Foundry"
    base = "/openai/v1"
    # today's; the older one with the deployment in the path; and the one that azure-ai-inference used
    chat_paths = ("/openai/v1/chat/completions", "/openai/deployments/{deployment}/chat/completions",
                  "/models/chat/completions")  # fmt: skip
    model_paths = ("/openai/v1/models", "/openai/models")
    other_paths = ("responses", "embeddings")
    per_minute = 60

    def models(self) -> list[str]:
        """A deployment for each model that Foundry still offers, named as the model."""
        return [one.ids.foundry for one in cards().values() if one.ids.foundry and not _has_left(one)]

    def find_model(self, asked: str | None) -> str:
        if asked is None:
            raise Refusal(400, "BadRequest", "model is missing: it is the name of a deployment.", param="model")
        if self.retired or asked not in self.models():
            raise Refusal(404, "DeploymentNotFound", "The API deployment for this resource does not exist. If you "
                          "created the deployment within the last 5 minutes, please wait and try again.")  # fmt: skip
        return asked

    def authorize(self, request: Request) -> None:
        if not given_keys(request) or self.is_wrong_key(request):
            raise Refusal(401, "401", "Access denied due to invalid subscription key or wrong API endpoint. Provide a "
                          "valid key for an active subscription and a correct endpoint for your resource.")  # fmt: skip

    def over_limit(self, wait: int) -> Refusal:
        words = f"Requests to this deployment have exceeded its rate limit. Please retry after {wait} seconds."
        return Refusal(429, "429", words, headers={"Retry-After": str(wait), "x-ratelimit-remaining-requests": "0"})


class Nvidia(Profile):
    """integrate.api.nvidia.com, and the health and metrics that a container of one's own adds."""

    name = "nvidia"
    title = "NVIDIA NIM"
    metrics_path = "/v1/metrics"
    other_paths = ("completions",)
    per_minute = 40
    metrics_prefix = "vllm:"  # what runs inside a container of NIM 2 names them so

    def models(self) -> list[str]:
        return [one.ids.nvidia for one in cards().values() if one.ids.nvidia]

    def find_model(self, asked: str | None) -> str:
        if asked is None or asked not in self.models():
            raise Refusal(404, "not_found", f"Model '{asked}': Not found for account 'practice'")
        if self.retired:
            raise Refusal(410, "gone", f"The model '{asked}' has reached its end of life on {ENDED} and is no longer "
                          "available.")  # fmt: skip
        return asked

    def authorize(self, request: Request) -> None:
        keys = given_keys(request)
        if not keys:
            raise Refusal(401, "unauthorized", "Header of type `authorization` was missing")
        if self.is_wrong_key(request) or not any(one.startswith("nvapi-") for one in keys):
            raise Refusal(403, "forbidden", "Authorization failed")

    def over_limit(self, wait: int) -> Refusal:
        return Refusal(429, "too_many_requests", "")  # this service says no time

    def error(self, refusal: Refusal) -> dict:
        body = {"status": refusal.status, "title": responses.get(refusal.status, "Error")}
        return {**body, "detail": refusal.message} if refusal.message else body

    def check(self, ask: Ask, model: str, request: Request) -> Ask:
        return replace(ask, messages=tuple(map(with_inline_pictures, ask.messages)))

    def routes(self) -> list[Route]:
        ready = {"object": "health.response", "message": "Service is ready."}
        health = [Route(f"/v1/health/{name}", lambda request: JSONResponse(ready)) for name in ("ready", "live")]
        return [*super().routes(), *health]


def _has_left(card) -> bool:
    today = date.today()
    return any("Retired from Microsoft Foundry" in one.text and one.date <= today for one in card.status)


def with_inline_pictures(message):
    """A message whose <img> tags have become pictures."""
    urls = [found["url"] for found in IMAGE.finditer(message.content)]
    if not urls:
        return message
    largest = max(len(one.partition(",")[2]) for one in urls)
    if largest >= MOST_CHARACTERS:
        raise Refusal(413, "too_large", f"An inline image has under {MOST_CHARACTERS:,} characters of base64, and "
                      f"this one {largest:,}. Upload larger ones through the assets API.")  # fmt: skip
    return replace(message, content=IMAGE.sub("", message.content).strip(), images=(*message.images, *urls))

"""Practice profile of NVIDIA's API and of a NIM container: pictures inside the text, errors with title and detail."""

import re
from dataclasses import replace
from http.client import responses

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from endpoint.openai_protocol import Ask, Refusal
from endpoint.profile import Profile, Window, given_keys
from slmlab.catalog import cards

IMAGE = re.compile(r"""<img\s+src\s*=\s*["']?(?P<url>data:image/[^"'>\s]+)["']?\s*/?>""")
MOST_CHARACTERS = 180_000
ENDED = "2000-01-01T00:00:00Z"  # no model's true date: nobody should quote a practice server


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

    def over_limit(self, name: str, window: Window, wait: int) -> Refusal:
        return Refusal(429, "too_many_requests", "")  # this service says no time

    def error(self, refusal: Refusal) -> dict:
        body = {"status": refusal.status, "title": responses.get(refusal.status, "Error")}
        return {**body, "detail": refusal.message} if refusal.message else body

    def check(self, ask: Ask, model: str, request: Request) -> Ask:
        return replace(ask, messages=tuple(map(_with_inline_pictures, ask.messages)))

    def routes(self) -> list[Route]:
        ready = {"object": "health.response", "message": "Service is ready."}
        health = [Route(f"/v1/health/{name}", lambda request: JSONResponse(ready)) for name in ("ready", "live")]
        return [*super().routes(), *health]


def _with_inline_pictures(message):
    """A message whose <img> tags have become pictures."""
    urls = [found["url"] for found in IMAGE.finditer(message.content)]
    if not urls:
        return message
    largest = max(len(one.partition(",")[2]) for one in urls)
    if largest >= MOST_CHARACTERS:
        raise Refusal(413, "too_large", f"An inline image has under {MOST_CHARACTERS:,} characters of base64, and "
                      f"this one {largest:,}. Upload larger ones through the assets API.")  # fmt: skip
    return replace(message, content=IMAGE.sub("", message.content).strip(), images=(*message.images, *urls))

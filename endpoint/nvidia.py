"""Practice profile of NVIDIA's API and of a NIM container: pictures inside the text, errors with title and detail."""

import re
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from endpoint.limits import Window
from endpoint.openai_protocol import Ask, Refusal, read_chat, read_data_url
from endpoint.profile import Profile, given_keys
from slmlab.catalog import cards

IMAGE = re.compile(r"""<img\s+src\s*=\s*["']?(?P<url>data:image/[^"'>\s]+)["']?\s*/?>""")
MOST_CHARACTERS = 180_000
ENDED = "2000-01-01T00:00:00Z"  # no model's true date: nobody should quote a practice server
TITLES = {400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
          405: "Method Not Allowed", 410: "Gone", 413: "Payload Too Large", 422: "Unprocessable Entity",
          429: "Too Many Requests", 500: "Internal Server Error"}  # fmt: skip


class Nvidia(Profile):
    """integrate.api.nvidia.com, and the health and metrics that a container of one's own adds."""

    name = "nvidia"
    title = "NVIDIA NIM"
    metrics_path = "/v1/metrics"
    metrics_prefix = "vllm:"  # what runs inside a NIM container names them so

    def __init__(self, desk, key=None, switches=None):
        super().__init__(desk, key, switches)
        self._minute = Window(self.switches.per_minute or 40, self.switches.minute_s)

    def models(self) -> list[str]:
        return [one.ids.nvidia for one in cards().values() if one.ids.nvidia]

    def find_model(self, asked: str | None) -> str:
        if asked is None or asked not in self.models():
            raise Refusal(404, "not_found", f"Model '{asked}': Not found for account 'practice'")
        if self.switches.retired:
            raise Refusal(410, "gone", f"The model '{asked}' has reached its end of life on {ENDED} and is no longer "
                          "available.")  # fmt: skip
        return asked

    def authorize(self, request: Request) -> None:
        keys = given_keys(request)
        if not keys:
            raise Refusal(401, "unauthorized", "Header of type `authorization` was missing")
        wrong = self.key is not None and not self.has_key(request)
        if wrong or not any(one.startswith("nvapi-") for one in keys):
            raise Refusal(403, "forbidden", "Authorization failed")

    def check(self, ask: Ask, model: str, request: Request) -> None:
        if self._minute.wait(model) > 0:
            raise Refusal(429, "too_many_requests", "", headers={})  # this service says no time
        self._minute.count(model)

    def error(self, refusal: Refusal) -> dict:
        title = TITLES.get(refusal.status, "Error")
        body = {"status": refusal.status, "title": title}
        if refusal.status == 410:
            body = {"type": "about:blank", "title": title, "status": 410}
        return {**body, "detail": refusal.message} if refusal.message else body

    async def serve(self, request: Request, ask: Ask) -> Response:
        return await super().serve(request, replace(ask, messages=tuple(map(_with_inline_pictures, ask.messages))))

    def extra_routes(self) -> list[Route]:
        return [
            Route("/v1/health/ready", self._ready),
            Route("/v1/health/live", self._ready),
            Route("/v1/vlm/{publisher}/{name}", self._one_model, methods=["POST"]),
        ]

    async def _ready(self, request: Request) -> Response:
        return JSONResponse({"object": "health.response", "message": "Service is ready."})

    async def _one_model(self, request: Request) -> Response:
        """The older form of the API: a path for each model."""
        names = request.path_params
        body = await self.body(request)
        return await self.serve(request, read_chat(body | {"model": f"{names['publisher']}/{names['name']}"}))


def _with_inline_pictures(message):
    """A message whose <img> tags have become pictures."""
    found = list(IMAGE.finditer(message.content))
    if not found:
        return message
    for one in found:
        size = len(one["url"].partition(",")[2])
        if size >= MOST_CHARACTERS:
            raise Refusal(413, "too_large", f"An inline image has under {MOST_CHARACTERS:,} characters of base64, and "
                          f"this one {size:,}. Upload larger ones through the assets API.")  # fmt: skip
    pictures = tuple(read_data_url(one["url"], "content") for one in found)
    return replace(message, content=IMAGE.sub("", message.content).strip(), images=(*message.images, *pictures))

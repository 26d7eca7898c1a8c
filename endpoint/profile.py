"""A profile is a protocol in front of an engine: its paths, model ids, keys, limits, error bodies and stream.

This one, `local`, is plain OpenAI; the practice profiles change what their service does otherwise. Knows nothing about
how the model runs, or how the server is started.
"""

import hmac
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from endpoint.limits import Window
from endpoint.openai_protocol import Ask, Refusal, Writer, in_words, line, model_list, read_chat
from endpoint.queue import Queue
from slmlab.catalog import card
from slmlab.errors import UnknownName
from slmlab.records import End, Start, Token

LOOKED_AT = 400  # the last characters of an answer, in which the filter looks for a phrase


class Profile:
    """OpenAI's protocol as it is; the base of the others. serve() says what its options do."""

    name = "local"
    title = "OpenAI's"
    base = "/v1"  # what a client's base_url ends with
    chat_paths: tuple[str, ...] = ("/v1/chat/completions",)
    model_paths: tuple[str, ...] = ("/v1/models",)
    metrics_path = "/metrics"
    metrics_prefix = "slmlab:"
    per_minute: int | None = None  # requests that one model takes, as the service's free tier has it
    per_day: int | None = None

    def __init__(self, queue: Queue, key: str | None = None, *, retired: bool = False, record: bool = False,
                 per_minute: int | None = None, per_day: int | None = None, minute_s: float = 60):  # fmt: skip
        self.queue, self.engine, self.key, self.retired, self.record = queue, queue.engine, key, retired, record
        self.telemetry = Telemetry(self.metrics_prefix, queue)
        limits = {"Minute": (per_minute or self.per_minute, minute_s), "Day": (per_day or self.per_day, 86_400)}
        self.windows = {name: Window(most, seconds) for name, (most, seconds) in limits.items() if most}

    # What a service words or decides in its own way

    def models(self) -> list[str]:
        return [self.engine.name]

    def find_model(self, asked: str | None) -> str:
        """The id that is answered under; a Refusal where the service has no such model."""
        if asked is not None and asked != self.engine.name and _card(asked) != self.engine.card:
            raise Refusal(404, "model_not_found", f"The model {asked!r} does not exist. Here is: {self.engine.name}.")
        return self.engine.name

    def authorize(self, request: Request) -> None:
        if self.is_wrong_key(request):
            raise Refusal(401, "invalid_api_key", "The API key is missing or wrong.")

    def check(self, ask: Ask, model: str, request: Request) -> None:
        """Refuse by the service's own rules, before anything runs."""

    def over_limit(self, name: str, window: Window, wait: int) -> Refusal:
        """What is said when the minute's or the day's requests are used up."""
        return Refusal(429, "rate_limit_exceeded", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})

    def error(self, refusal: Refusal) -> dict:
        kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(refusal.status)
        kind = kind or ("server_error" if refusal.status >= 500 else "invalid_request_error")
        return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}

    def opening_chunks(self) -> list[dict]:
        return []

    def decorated(self, answer: dict, stopped: str = "") -> dict:
        """An answer, or a chunk of one, with what this service adds; `stopped` is the text that its filter stopped."""
        return answer

    def cut(self, text: str) -> bool:
        """Whether the service's filter ends an answer here."""
        return False

    # The same for all

    @property
    def introduction(self) -> str:
        """Who answers, and what is only imitated: the first line of the page and of the log."""
        whose = "is OpenAI's" if self.name == "local" else f"of {self.title} is imitated"
        model = f"{self.engine.name} ({self.engine.precision or self.engine.engine})"
        return f"Answers come from {model}, running on this machine; the protocol {whose}."

    def is_wrong_key(self, request: Request) -> bool:
        """Whether this server has a key, and the request carries it in neither header that clients use."""
        keys = [one.encode() for one in given_keys(request)]
        return self.key is not None and not any(hmac.compare_digest(one, self.key.encode()) for one in keys)

    def takes_pictures(self, model: str) -> bool:
        """Whether the model of that id sees. To a model behind it that reads only text, a picture is told in words."""
        known = _card(model)
        return (self.engine.sees and model == self.engine.name) or (known is not None and known.sees)

    def routes(self) -> list[Route]:
        return [
            *[Route(path, self._chat, methods=["POST"]) for path in self.chat_paths],
            *[Route(path, self._models) for path in self.model_paths],
            Route("/health", lambda request: JSONResponse({"status": "ok"})),
            Route(self.metrics_path, self._metrics),
        ]

    def refuse(self, refusal: Refusal) -> Response:
        return JSONResponse(self.error(refusal), refusal.status, headers=refusal.headers)

    async def body(self, request: Request) -> bytes:
        self.authorize(request)
        return await request.body()

    async def _chat(self, request: Request) -> Response:
        return await self.serve(request, read_chat(await self.body(request)))

    async def serve(self, request: Request, ask: Ask) -> Response:
        """Check, then ask the engine. What is refused costs nothing."""
        model = self.find_model(request.path_params.get("deployment") or ask.model)
        if any(one.images for one in ask.messages) and not self.takes_pictures(model):
            raise Refusal(400, "unsupported_content", f"{model} reads text only: it can't see a picture.")
        for name, window in self.windows.items():
            if (wait := math.ceil(window.wait(model))) > 0:
                raise self.over_limit(name, window, wait)
        self.check(ask, model, request)
        for window in self.windows.values():
            window.count(model)
        writer = Writer(ask, model, f"slmlab-{self.engine.name}-{self.engine.precision}")
        events = self.events(request, ask)
        start = await anext(events)  # a refusal still gets its own status here
        if ask.stream:
            return StreamingResponse(self._stream(start, events, writer), media_type="text/event-stream")
        *tokens, end = [event async for event in events]
        text = "".join(token.text for token in tokens)
        answer = writer.whole(text, end.reason, start.prompt_tokens or 0, len(tokens))
        return JSONResponse(self.decorated(answer, end.fault or ""))

    async def events(self, request: Request, ask: Ask) -> AsyncIterator[Start | Token | End]:
        """An answer's events, counted, and ended where the service's filter says so."""
        # A picture is put into words for a model that reads text only.
        messages = ask.messages if self.engine.sees else [in_words(one) for one in ask.messages]
        reply = partial(self.engine.ask, messages, **vars(ask.sampling))
        start, count, text = None, 0, ""
        try:
            async with aclosing(self.queue.answer(reply, request.is_disconnected)) as events:
                async for event in events:
                    start = start or event  # the first one
                    if isinstance(event, Token):
                        count, text = count + 1, (text + event.text)[-LOOKED_AT:]
                        if self.cut(text):
                            event = End(event.time_s, "filtered", fault=text)
                    yield event
                    if isinstance(event, End):
                        return
        finally:
            if start:  # one that was refused is no answer
                self.telemetry.prompt_tokens.inc(start.prompt_tokens or 0)
                self.telemetry.new_tokens.inc(count)

    async def _stream(self, start: Start, events: AsyncIterator, writer: Writer) -> AsyncIterator[bytes]:
        count = 0
        try:
            async with aclosing(events):
                for chunk in self.opening_chunks():
                    yield _event(chunk)
                yield _event(writer.chunk({"role": "assistant", "content": ""}))
                async for event in events:
                    if isinstance(event, Token):
                        count += 1
                        if event.text:
                            yield _event(self.decorated(writer.chunk({"content": event.text})))
                    else:
                        yield _event(self.decorated(writer.chunk({}, reason=event.reason), event.fault or ""))
                for chunk in writer.counts(start.prompt_tokens or 0, count):
                    yield _event(chunk)
        except Refusal as refusal:  # the status is long sent: what is left is to say it in the stream, without [DONE]
            yield _event(self.error(refusal))
            return
        yield b"data: [DONE]\n\n"

    async def _models(self, request: Request) -> Response:
        self.authorize(request)
        return JSONResponse(model_list(self.models(), self.name))

    async def _metrics(self, request: Request) -> Response:
        text = generate_latest(self.telemetry.registry)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def given_keys(request: Request) -> list[str]:
    """The keys in a request: as a bearer token, and in Azure's own header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    keys = (token.strip() if scheme.lower() == "bearer" else "", request.headers.get("api-key"))
    return [one for one in keys if one]


def _card(name: str):
    try:
        return card(name)
    except UnknownName:
        return None


def _event(chunk: dict) -> bytes:
    return b"data: " + line(chunk) + b"\n\n"


class Telemetry:
    """What a server counts, in the format that Prometheus reads; `prefix` is the service's."""

    def __init__(self, prefix: str, queue: Queue):
        disable_created_metrics()  # a second line for each counter, which no one here asks for
        self.registry = CollectorRegistry()

        def made(kind, name: str, text: str):
            return kind(f"{prefix}{name}", text, ["model_name"], registry=self.registry).labels(queue.engine.name)

        made(Gauge, "num_requests_running", "Requests that are being answered now.").set_function(lambda: queue.running)
        made(Gauge, "num_requests_waiting", "Requests that wait for a seat.").set_function(lambda: queue.queued)
        self.prompt_tokens = made(Counter, "prompt_tokens", "Tokens that were read.")
        self.new_tokens = made(Counter, "generation_tokens", "Tokens that were written.")

"""A profile is a protocol in front of an engine: its paths, model ids, keys, limits, error bodies and stream.

This one, `local`, is plain OpenAI; the practice profiles change what their service does otherwise.
"""

import asyncio
import hmac
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from endpoint.openai_protocol import Answer, Ask, Refusal, with_pictures
from endpoint.queue import Queue
from slmlab import loading
from slmlab.connecting import known_card
from slmlab.engines.local import SEEING
from slmlab.records import End, Event, Reply, Token

LOOKED_AT = 400  # the last tokens of an answer, in which the filter looks for a phrase
BODY_S = 20  # a request's body is here by then
CHARACTERS = 16  # a token has fewer, in any text that is one
MOST_BYTES = 32 * 2**20
MOST_MARKS = 200_000  # braces, colons and commas: Python would be busy with the objects, and every stream would stand


def reply_to_chat(engine, ask: Ask, number: int) -> Reply:
    """One of the answers to a conversation. Where the assistant speaks last, its text is gone on with."""
    *before, last = ask.messages
    if last.role == "assistant" and before and not ask.has_pictures:
        ids = engine.format.prompt_ids(before) + engine.format.text_ids(last.content)
        return engine.complete(ids, **ask.seeded(number))
    return engine.ask(ask.messages, **ask.seeded(number))


class Window:
    """At most `most` requests in any stretch of `seconds`, for each model."""

    def __init__(self, most: float, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.seconds, self._clock = most, seconds, clock
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def wait(self, model: str) -> float:
        """Seconds until the model takes a request again; 0 when it does now."""
        times, now = self._times[model], self._clock()
        while times and times[0] <= now - self.seconds:
            times.popleft()
        return times[0] + self.seconds - now if len(times) >= self.most else 0.0

    def count(self, model: str) -> None:
        self._times[model].append(self._clock())


class Profile:
    """OpenAI's protocol as it is; the base of the others. serve() says what its options do."""

    name = "local"
    title = ""  # of the service that is imitated
    base = "/v1"  # what a client's base_url ends with
    chat_paths: tuple[str, ...] = ("/v1/chat/completions",)
    other_paths: tuple[str, ...] = ("completions", "responses", "embeddings")  # below the base
    model_paths: tuple[str, ...] = ("/v1/models",)
    metrics_path = "/metrics"
    metrics_prefix = "slmlab:"
    prompt_verdict: dict = {}  # what an answer tells of its prompt, where a filter looks at that
    per_minute: int | None = None  # requests that one model takes, as the service's free tier has it

    def __init__(self, queue: Queue, key: str | None = None, *, retired: bool = False, record: bool = False,
                 per_minute: int | None = None, minute_s: float = 60, allow_origin: Sequence[str] = ()):  # fmt: skip
        self.queue, self.engine, self.key, self.retired, self.record = queue, queue.engine, key, retired, record
        self.origins = tuple(one.rstrip("/") for one in allow_origin)
        self.telemetry = Telemetry(self.metrics_prefix, queue)
        self.window = Window(per_minute or self.per_minute or math.inf, minute_s)
        self._seeing, self._opening = queue if queue.engine.sees else None, threading.Lock()

    # What a service words or decides in its own way

    def models(self) -> list[str]:
        return list(dict.fromkeys((self.engine.name, SEEING)))

    def find_model(self, asked: str | None) -> str:
        """The id that is answered under; a Refusal where the service has no such model."""
        if asked == SEEING:
            return SEEING
        if asked in (None, self.engine.name) or known_card(asked) == self.engine.card:
            return self.engine.name
        raise Refusal(404, "model_not_found", f"The model {asked!r} does not exist. Here is: {self.engine.name}; "
                      f"for pictures, {SEEING}.")  # fmt: skip

    def authorize(self, request: Request) -> None:
        if self.is_wrong_key(request):
            raise Refusal(401, "invalid_api_key", "The API key is missing or wrong.")

    def check(self, ask: Ask, model: str, request: Request) -> Ask:
        """The ask as this service reads it, unless it has a rule against it."""
        return ask

    def over_limit(self, wait: int) -> Refusal:
        """What is said when the minute's requests are used up."""
        return Refusal(429, "rate_limit_exceeded", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})

    def error(self, refusal: Refusal) -> dict:
        kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(refusal.status)
        kind = kind or ("server_error" if refusal.status >= 500 else "invalid_request_error")
        return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}

    def verdict(self, text: str) -> dict:
        """What the service's filter says of a choice of an answer."""
        return {}

    def stopped(self, tokens: Sequence[Token]) -> str:
        """The end of an answer, where the service's filter stops it there."""
        return ""

    # The same for all

    @property
    def introduction(self) -> str:
        """Who answers, and what is only imitated: the first line of the page and of the log."""
        whose = f"of {self.title} is imitated" if self.title else "is OpenAI's"
        model = f"{self.engine.name} ({self.engine.precision or self.engine.engine})"
        return f"Answers come from {model}, running on this machine; the protocol {whose}."

    def is_wrong_key(self, request: Request) -> bool:
        """Whether this server has a key, and the request carries it in neither header that clients use."""
        keys = [one.encode() for one in given_keys(request)]
        return self.key is not None and not any(hmac.compare_digest(one, self.key.encode()) for one in keys)

    def routes(self) -> list[Route]:
        """All but those that answer, which app.py adds."""
        return [
            *[Route(path, self._models) for path in self.model_paths],
            Route("/health", lambda request: JSONResponse({"status": "ok"})),
            Route(self.metrics_path, self._metrics),
        ]

    def refuse(self, fault: Exception) -> Response:
        refusal = Refusal.of(fault)
        return JSONResponse(self.error(refusal), refusal.status, headers=refusal.headers)

    async def body(self, request: Request) -> bytes:
        """The body of a request that may ask: all of it, in time, and no larger than can be read in a moment."""
        self.authorize(request)
        data = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for part in request.stream():
                    data += part
                    if len(data) > MOST_BYTES:
                        raise Refusal(413, "too_large", f"A request has at most {MOST_BYTES / 1e6:.0f} MB.")
        except TimeoutError:
            raise Refusal(408, "timeout", f"The body didn't come within {BODY_S} s.") from None
        if sum(map(data.count, b"{[:,")) > MOST_MARKS:
            raise Refusal(413, "too_large", f"The body has over {MOST_MARKS:,} parts: no model here can read so much.")
        return bytes(data)

    async def begin(self, request: Request, ask: Ask, reply=reply_to_chat, prompts: int = 1) -> list[Answer]:
        """The answers to an ask, the first of them begun: what is refused still gets its own status, and costs nothing.
        `reply` asks an engine for the answer of a number; there are `ask.count` to each prompt."""
        model = self.find_model(request.path_params.get("deployment") or ask.model)
        ask = self.check(ask, model, request)
        if len(ask.text) > CHARACTERS * (self.engine.context or math.inf):  # to count its tokens would hold all up
            raise Refusal(400, "context_length_exceeded", f"The prompt has {len(ask.text):,} characters and "
                          f"{model} holds {self.engine.context:,} tokens.", param="messages")  # fmt: skip
        if ask.has_pictures and not (self.engine.sees or getattr(known_card(model), "sees", False)):
            raise Refusal(400, "unsupported_content", f"{model} reads text only: it can't see a picture. Ask {SEEING}.")
        if (wait := math.ceil(self.window.wait(model))) > 0:
            raise self.over_limit(wait)
        self.window.count(model)
        queue = self.queue
        if ask.has_pictures or model == SEEING:
            ask = replace(ask, messages=await asyncio.to_thread(with_pictures, ask.messages))
            queue = await asyncio.to_thread(self._seeing_queue)
        ask = replace(ask, model=model, fingerprint=f"slmlab-{queue.engine.name}-{queue.engine.precision}")
        answers = [Answer(ask) for _ in range(prompts * ask.count)]
        for number, answer in enumerate(answers):
            asked = partial(reply, queue.engine, ask, number)
            events = queue.answer(asked, request.is_disconnected, admitted=number > 0)
            answer.events = self._events(answer, events)
        await anext(answers[0].events)
        return answers

    async def _events(self, answer: Answer, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """An answer's events, kept and counted, and ended where the service's filter says so."""
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Token):
                        answer.stopped = self.stopped([*answer.tokens[-LOOKED_AT:], event])
                        if answer.stopped:
                            event = End(event.time_s, "filtered")
                    answer.take(event)
                    yield event
                    if answer.reason:
                        return
        finally:
            self.telemetry.prompt_tokens.inc(answer.prompt_tokens)
            self.telemetry.new_tokens.inc(max(0, len(answer.tokens) - answer.ask.echo * answer.prompt_tokens))

    def _seeing_queue(self) -> Queue:
        """Who answers about pictures: the model itself, or the course's own that sees, opened when first asked."""
        with self._opening:
            self._seeing = self._seeing or Queue(loading.load(SEEING), self.queue.waiting)
        return self._seeing

    def close(self) -> None:
        for queue in {self.queue, self._seeing} - {None}:
            queue.close()

    async def _models(self, request: Request) -> Response:
        self.authorize(request)
        same = {"object": "model", "created": 1_730_419_200, "owned_by": self.name}  # 2024-11-01: the bundled model's
        return JSONResponse({"object": "list", "data": [{"id": one, **same} for one in self.models()]})

    async def _metrics(self, request: Request) -> Response:
        if self.is_wrong_key(request):
            self.authorize(request)
        return Response(generate_latest(self.telemetry.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def given_keys(request: Request) -> list[str]:
    """The keys in a request: as a bearer token, and in Azure's own header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    keys = (token.strip() if scheme.lower() == "bearer" else "", request.headers.get("api-key"))
    return [one for one in keys if one]


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

"""Practice profile of Ollama: its own paths, one JSON object a line, and models that are pulled before they answer."""

import asyncio
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from endpoint.openai_protocol import DEFAULT_TOKENS, Ask, Refusal, line, read_as
from endpoint.profile import Profile
from slmlab.catalog import cards
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from slmlab.records import End, Message, Sampling, Start, Token

# Options that set how the next token is chosen, to our names of them.
OPTIONS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "stop": "stop",
           "num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip
UNSUPPORTED = {"tools": "tools", "think": "thinking", "format": "structured outputs"}


class Turn(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str = ""
    images: list[str] | None = None


class Body(BaseModel, extra="allow"):
    model: str | None = None
    stream: bool | None = None
    options: dict | None = None


class ChatBody(Body):
    messages: list[Turn] = []


def tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def read_message(turn: Turn) -> Message:
    try:
        return Message(turn.role, turn.content, tuple(as_picture(b64decode(one)) for one in turn.images or []))
    except (ValueError, BadRequest) as fault:
        raise Refusal(400, "invalid_image", f"illegal base64 or image data: {fault}") from None


def read_sampling(options: dict) -> Sampling:
    settings = {ours: options[name] for name, ours in OPTIONS.items() if options.get(name) is not None}
    for name in ("max_tokens", "top_k"):
        if settings.get(name) in (-1, -2):
            settings.pop(name)  # "no limit" and "every token" there
    if "seed" in settings:
        settings["seed"] = int(settings["seed"]) % 2**31
    try:
        return Sampling(**({"max_tokens": DEFAULT_TOKENS} | settings))
    except BadRequest as fault:
        raise Refusal(400, "invalid", str(fault)) from None


def figures(began: float, start: Start, tokens: list[Token], end: End) -> dict:
    """What the answer cost, in nanoseconds: reading the prompt until the first token, writing from there."""
    first_s = tokens[0].time_s if tokens else end.time_s
    times = {"total_duration": time.perf_counter() - began, "load_duration": 0,
             "prompt_eval_duration": first_s - began, "eval_duration": end.time_s - first_s}  # fmt: skip
    return {"done": True, "done_reason": "stop" if end.reason == "end" else end.reason,
            "prompt_eval_count": start.prompt_tokens, "eval_count": len(tokens),
            **{name: int(1e9 * value) for name, value in times.items()}}  # fmt: skip


class Ollama(Profile):
    """What `ollama serve` answers at 127.0.0.1:11434, keys ignored as there."""

    name = "ollama"
    title = "Ollama"

    def __init__(self, queue, key=None, switches=None):
        super().__init__(queue, key, switches)
        own = tagged(self.engine.card.ids.ollama or self.engine.name)
        self._known = {tagged(one.ids.ollama) for one in cards().values() if one.ids.ollama} | {own}
        self._pulled = {own}

    def models(self) -> list[str]:
        return sorted(self._pulled)

    def find_model(self, asked: str | None) -> str:
        if asked is None or tagged(asked) not in self._pulled:
            raise Refusal(404, "not_found", f"model '{asked}' not found")
        return asked

    def error(self, refusal: Refusal) -> dict:
        return {"error": refusal.message}

    def extra_routes(self) -> list[Route]:
        return [
            Route("/", lambda request: PlainTextResponse(f"Ollama is running\n{self.introduction}\n")),
            Route("/api/version", lambda request: JSONResponse({"version": "0.0.0-practice"})),
            Route("/api/tags", self._tags),
            Route("/api/pull", self._pull, methods=["POST"]),
            Route("/api/chat", self._answer, methods=["POST"]),
        ]

    async def _tags(self, request: Request) -> Response:
        self.authorize(request)
        card = self.engine.card
        details = {"format": "onnx", "family": card.family.lower(), "families": [card.family.lower()],
                   "parameter_size": f"{(card.parameters or 0) / 1e6:.0f}M",
                   "quantization_level": self.engine.precision or ""}  # fmt: skip
        same = {"modified_at": _now(), "details": details, "size": sum(map(_size, self._files()))}
        names = [{"name": one, "model": one, "digest": sha256(one.encode()).hexdigest()} for one in self.models()]
        return JSONResponse({"models": [one | same for one in names]})

    async def _pull(self, request: Request) -> Response:
        body = read_as(Body, await self.body(request))
        return await _sent(self._pulling(tagged(body.model or "")), body.stream)

    async def _pulling(self, name: str) -> AsyncIterator[dict]:
        """The lines of a pull. Nothing is downloaded: its layers are the files that are here."""
        yield {"status": "pulling manifest"}
        if name not in self._known:
            yield {"error": "pull model manifest: file does not exist"}
            return
        for file in self._files():
            digest, size = await asyncio.to_thread(_digest, file), _size(file)
            layer = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": size}
            yield layer | {"completed": size}
        self._pulled.add(name)
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield {"status": status}

    def _files(self) -> list[Path]:
        folder = getattr(self.engine.format, "folder", None)
        return sorted(folder.glob("*.onnx*")) if folder else []

    async def _answer(self, request: Request) -> Response:
        body = read_as(ChatBody, await self.body(request))
        name = self.find_model(body.model)
        for field, words in UNSUPPORTED.items():
            if body.model_extra.get(field):
                raise Refusal(400, "unsupported", f'"{name}" does not support {words}')
        messages = tuple(read_message(one) for one in body.messages)
        ask = Ask(name, read_sampling(body.options or {}), messages, stream=body.stream is not False)
        began, events = time.perf_counter(), self.events(request, ask)
        start = await anext(events)  # a refusal still gets its own status here
        return await _sent(self._lines(ask, start, events, began), body.stream)

    async def _lines(self, ask: Ask, start: Start, events, began: float) -> AsyncIterator[dict]:
        """A line for each token and one with the figures; of an answer that isn't streamed, that one has the text."""
        tokens = []
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, End):
                        text = "" if ask.stream else "".join(token.text for token in tokens)
                        yield _line(ask.model, text) | figures(began, start, tokens, event)
                        return
                    tokens.append(event)
                    if event.text and ask.stream:
                        yield _line(ask.model, event.text)
        except Refusal as refusal:  # the status is long sent
            yield self.error(refusal)


def _line(name: str, text: str) -> dict:
    said = {"role": "assistant", "content": text}
    return {"model": name, "created_at": _now(), "message": said, "done": False}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _size(file: Path) -> int:
    return file.stat().st_size


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


async def _sent(lines: AsyncIterator[dict], stream: bool | None) -> Response:
    """Lines of JSON as they come; for a client that doesn't stream, the last one when all is done."""
    if stream is False:
        last = [one async for one in lines][-1]
        return JSONResponse(last, 500 if "error" in last else 200)

    async def written() -> AsyncIterator[bytes]:
        async with aclosing(lines):
            async for one in lines:
                yield line(one) + b"\n"

    return StreamingResponse(written(), media_type="application/x-ndjson")

"""Practice profile of Ollama: its own paths, one JSON object a line, and models that are pulled before they answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from endpoint.completions import read_chat
from endpoint.embeddings import NAME, EmbedBody, vectors_of
from endpoint.openai_protocol import Answer, Ask, Refusal, line, read_as
from endpoint.profile import Profile
from slmlab.catalog import cards

# Options that set how the next token is chosen, to OpenAI's names of them.
OPTIONS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "stop": "stop",
           "num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip


class Body(BaseModel):
    model: str | None = None
    stream: bool | None = None
    options: dict | None = None
    messages: list = []
    prompt: str | None = None  # of /api/generate, with what belongs to it
    system: str | None = None
    images: list | None = None
    tools: list | None = None
    format: str | dict | None = None
    think: bool | str | None = None

    def ask(self) -> Ask:
        """The question, by way of OpenAI's words for it."""
        asked = {OPTIONS[name]: value for name, value in (self.options or {}).items() if name in OPTIONS}
        if asked.get("max_tokens") in (-1, -2):
            del asked["max_tokens"]  # "no limit" there
        if self.format:
            schema = {"type": "object"} if self.format == "json" else self.format
            asked["response_format"] = {"type": "json_schema", "schema": schema}
        asked |= {"model": self.model, "stream": self.stream is not False, "tools": self.tools}
        turns = [{"role": "system", "content": self.system}] if self.system else []
        turns += self.messages or [{"role": "user", "content": self.prompt, "images": self.images}]
        return read_chat(line(asked | {"messages": turns}))


def tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


class Ollama(Profile):
    """What `ollama serve` answers at 127.0.0.1:11434, keys ignored as there."""

    name = "ollama"
    title = "Ollama"

    def __init__(self, queue, key=None, **practice):
        super().__init__(queue, key, **practice)
        own = tagged(self.engine.card.ids.ollama or self.engine.name)
        self._known = {tagged(one.ids.ollama) for one in cards().values() if one.ids.ollama} | {own}
        self._pulled = {own}

    def models(self) -> list[str]:
        return sorted(self._pulled)

    def find_model(self, asked: str | None) -> str:
        if tagged(asked or "") not in self._pulled:
            raise Refusal(404, "not_found", f"model '{asked}' not found")
        return asked or ""

    def error(self, refusal: Refusal) -> dict:
        return {"error": refusal.message}

    def routes(self) -> list[Route]:
        return [
            *super().routes(),
            Route("/", lambda request: PlainTextResponse(f"Ollama is running\n{self.introduction}\n")),
            Route("/api/version", lambda request: JSONResponse({"version": "0.0.0-practice"})),
            Route("/api/tags", self._tags),
            Route("/api/pull", self._pull, methods=["POST"]),
            Route("/api/chat", self._answer, methods=["POST"]),
            Route("/api/generate", self._answer, methods=["POST"]),
            Route("/api/embed", self._embed, methods=["POST"]),
        ]

    async def _tags(self, request: Request) -> Response:
        self.authorize(request)
        return JSONResponse({"models": [{"name": one, "model": one, "modified_at": _now()} for one in self.models()]})

    async def _pull(self, request: Request) -> Response:
        body = read_as(Body, await self.body(request))
        return await _sent(self._pulling(tagged(body.model or "")), body.stream)

    async def _pulling(self, name: str) -> AsyncIterator[dict]:
        """The lines of a pull. Nothing is downloaded: the model behind every name is here."""
        yield {"status": "pulling manifest"}
        self._pulled |= {name} & self._known
        yield {"status": "success"} if name in self._pulled else {"error": "pull model manifest: file does not exist"}

    async def _answer(self, request: Request) -> Response:
        body = read_as(Body, await self.body(request))
        name = self.find_model(body.model)
        if body.think:
            raise Refusal(400, "unsupported", f'"{name}" does not support thinking')
        (answer,) = await self.begin(request, body.ask())
        return await _sent(self._lines(answer, is_chat=bool(body.messages)), body.stream)

    async def _lines(self, answer: Answer, is_chat: bool) -> AsyncIterator[dict]:
        """A line for each token and one with the counts; of an answer that isn't streamed, that one has the text."""
        try:
            async for token in answer.pieces():
                if answer.ask.stream:
                    yield _line(answer, is_chat, content=token.text)
            said = {"content": "" if answer.ask.stream or answer.call else answer.text}
            if answer.call:
                called = {"name": answer.call.name, "arguments": json.loads(answer.call.arguments)}
                said["tool_calls"] = [{"function": called}]
            reason = "stop" if answer.reason == "end" else answer.reason
            counts = {"prompt_eval_count": answer.prompt_tokens, "eval_count": len(answer.tokens)}
            yield _line(answer, is_chat, **said) | {"done": True, "done_reason": reason} | counts
        except Refusal as refusal:  # the status is long sent
            yield self.error(refusal)

    async def _embed(self, request: Request) -> Response:
        body: EmbedBody = read_as(EmbedBody, await self.body(request))
        vectors, tokens = await asyncio.to_thread(vectors_of, body.input)
        return JSONResponse({"model": NAME, "embeddings": vectors.tolist(), "prompt_eval_count": tokens})


def _line(answer: Answer, is_chat: bool, **said) -> dict:
    told = {"message": {"role": "assistant", **said}} if is_chat else {"response": said["content"]}
    return {"model": answer.ask.model, "created_at": _now(), **told, "done": False}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


async def _sent(lines: AsyncIterator[dict], stream: bool | None) -> Response:
    """Lines of JSON as they come; for a client that doesn't stream, the last one when all is done."""
    if stream is False:
        last = [one async for one in lines][-1]
        return JSONResponse(last, 500 if "error" in last else 200)
    return StreamingResponse((line(one) + b"\n" async for one in lines), media_type="application/x-ndjson")

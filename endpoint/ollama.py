"""Practice profile of Ollama: its own paths, one JSON object a line, and models that are pulled or made of another.

A model that was made has a recipe: system text, options, turns before a question. Its weights are those of the base.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from endpoint.completions import read_chat
from endpoint.embeddings import NAME, EmbedBody, vectors_of
from endpoint.openai_protocol import Answer, Ask, Refusal, line, read_as
from endpoint.profile import Profile, reply_to_chat
from slmlab.catalog import cards
from slmlab.records import Reply

# Options that set how the next token is chosen, to OpenAI's names of them.
OPTIONS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "stop": "stop",
           "num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip


class Body(BaseModel, extra="allow"):
    """What is sent to any path; to /api/create, it is the recipe, with what isn't practised as its extras."""

    model: str = Field(min_length=1)
    stream: bool | None = None
    options: dict | None = None
    messages: list[dict] = []
    prompt: str | None = None  # of /api/generate, with what belongs to it
    system: str | None = None
    images: list | None = None
    tools: list | None = None
    format: str | dict | None = None
    think: bool | str | None = None
    base: str = Field("", alias="from")  # of /api/create, with what belongs to it
    parameters: dict = {}

    def asked_of(self, recipe: "Body") -> dict:
        """The question to a model as it was made, in OpenAI's words; those that were in them stay."""
        options = recipe.parameters | (self.options or {})
        asked = {OPTIONS[name]: value for name, value in options.items() if name in OPTIONS}
        if asked.get("max_tokens") in (-1, -2):
            del asked["max_tokens"]  # "no limit" there
        if self.format:
            schema = {"type": "object"} if self.format == "json" else self.format
            asked["response_format"] = {"type": "json_schema", "schema": schema}
        asked |= {"model": self.model, "stream": self.stream is not False, "tools": self.tools}
        asked |= {name: value for name, value in self.model_extra.items() if value is not None}
        system = self.system or (None if "system" in [one.get("role") for one in self.messages[:1]] else recipe.system)
        turns = [{"role": "system", "content": system}] if system else []
        turns += recipe.messages + (self.messages or [{"role": "user", "content": self.prompt, "images": self.images}])
        return asked | {"messages": turns}


def within(num_ctx: int, engine, ask: Ask, number: int) -> Reply:
    """An answer to what fits into a window: the oldest turns are left out, as Ollama does it."""
    turns = list(ask.messages)
    first = int(turns[0].role == "system")
    while len(turns) > first + 1 and len(engine.format.prompt_ids(turns)) >= num_ctx:
        del turns[first]
    return reply_to_chat(engine, replace(ask, messages=tuple(turns)), number)


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
        self._recipes = {own: Body(model=own)}  # of the models that are here; of one that was pulled, an empty one

    def models(self) -> list[str]:
        return sorted(self._recipes)

    def find_model(self, asked: str | None) -> str:
        if tagged(asked or "") not in self._recipes:
            raise Refusal(404, "not_found", f"model '{asked}' not found")
        return asked or ""

    async def body(self, request: Request) -> bytes:
        """A chat in OpenAI's own words asks a model as it was made, too."""
        data = await super().body(request)
        if request.url.path not in self.chat_paths:
            return data
        body = read_as(Body, data)
        asked = body.asked_of(self._recipes[tagged(self.find_model(body.model))])
        return line(asked | {"stream": bool(body.stream)})

    def error(self, refusal: Refusal) -> dict:
        return {"error": refusal.message}

    def routes(self) -> list[Route]:
        return [
            *super().routes(),
            Route("/", lambda request: PlainTextResponse(f"Ollama is running\n{self.introduction}\n")),
            Route("/api/version", lambda request: JSONResponse({"version": "0.0.0-practice"})),
            Route("/api/tags", self._tags),
            Route("/api/pull", self._pull, methods=["POST"]),
            Route("/api/create", self._pull, methods=["POST"]),
            Route("/api/show", self._show, methods=["POST"]),
            Route("/api/chat", self._answer, methods=["POST"]),
            Route("/api/generate", self._answer, methods=["POST"]),
            Route("/api/embed", self._embed, methods=["POST"]),
        ]

    async def _tags(self, request: Request) -> Response:
        self.authorize(request)
        return JSONResponse({"models": [{"name": one, "model": one, "modified_at": _now()} for one in self.models()]})

    async def _pull(self, request: Request) -> Response:
        body = read_as(Body, await self.body(request))
        return await _sent(self._pulling(body), body.stream)

    async def _pulling(self, recipe: Body) -> AsyncIterator[dict]:
        """The lines of a pull, or of a create. Nothing is downloaded: the model behind every name is here."""
        base = tagged(recipe.base or recipe.model)
        yield {"status": "pulling manifest"}
        if base not in self._known | self._recipes.keys():
            yield {"error": "pull model manifest: file does not exist"}
            return
        if kept := " and ".join(sorted(name for name, value in recipe.model_extra.items() if value)):
            yield {"status": f"practice server: {kept} kept, and applied to nothing"}
        below = self._recipes.setdefault(base, Body(model=base))
        new = {name: value for name, value in recipe if value} | {"parameters": below.parameters | recipe.parameters}
        self._recipes[tagged(recipe.model)] = below.model_copy(update=new)
        yield {"status": "success"}

    async def _show(self, request: Request) -> Response:
        name = self.find_model(read_as(Body, await self.body(request)).model)
        recipe = self._recipes[tagged(name)]
        several = [(name, one if isinstance(one, list) else [one]) for name, one in recipe.parameters.items()]
        values = "\n".join(f"{name} {json.dumps(one)}" for name, values in several for one in values)
        told = {"parameters": values, "system": recipe.system, "template": recipe.model_extra.get("template")}
        told |= {"modelfile": f"FROM {recipe.base or name}", "model_info": {}, "capabilities": ["completion"]}
        return JSONResponse(told)

    async def _answer(self, request: Request) -> Response:
        body = read_as(Body, await self.body(request))
        name = self.find_model(body.model)
        if body.think:
            raise Refusal(400, "unsupported", f'"{name}" does not support thinking')
        recipe = self._recipes[tagged(name)]
        num_ctx = (recipe.parameters | (body.options or {})).get("num_ctx")
        if not isinstance(num_ctx, int | None):
            raise Refusal(400, "invalid_request", 'option "num_ctx" must be of type integer')
        reply = partial(within, num_ctx) if num_ctx else reply_to_chat
        (answer,) = await self.begin(request, read_chat(line(body.asked_of(recipe))), reply)
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

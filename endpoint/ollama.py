"""Practice profile of Ollama: its own paths, one JSON object a line, and models that are pulled before they answer."""

import asyncio
import hashlib
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from endpoint.openai_protocol import ROLES, Ask, Refusal, one_line
from endpoint.page import sentence
from endpoint.profile import Profile
from endpoint.queue import Accepted, whole
from slmlab.catalog import cards
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from slmlab.records import End, Message, Sampling, Token

DONE = {"end": "stop", "stop": "stop", "length": "length"}
OPTIONS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "stop": "stop",
           "num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip


def tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def said_by_model(text: str) -> dict:
    return {"role": "assistant", "content": text}


def check_supported(body: dict, name: str) -> None:
    for field, words in (("tools", "tools"), ("think", "thinking"), ("format", "structured outputs")):
        if body.get(field):
            raise Refusal(400, "unsupported", f'"{name}" does not support {words}')


def read_message(one) -> Message:
    role, content = (one.get("role"), one.get("content") or "") if isinstance(one, dict) else (None, None)
    if role not in list(ROLES) or not isinstance(content, str):
        raise Refusal(400, "invalid", "a message has a role (system, user, assistant) and a content")
    try:
        pictures = tuple(as_picture(b64decode(picture)) for picture in one.get("images") or [])
    except (ValueError, TypeError, BadRequest) as fault:
        raise Refusal(400, "invalid_image", f"illegal base64 or image data: {fault}") from None
    return Message(ROLES[role], content, pictures)


def read_sampling(body: dict) -> Sampling:
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise Refusal(400, "invalid", "options has to be an object")
    settings = {ours: options[name] for name, ours in OPTIONS.items() if options.get(name) is not None}
    if settings.get("max_tokens") in (-1, -2):
        settings.pop("max_tokens")  # "no limit" there
    if settings.get("top_k") == -1:
        settings.pop("top_k")  # every token, there
    if isinstance(settings.get("seed"), int | float) and settings["seed"] == settings["seed"] // 1:
        settings["seed"] = int(settings["seed"]) % 2**31
    try:
        return Sampling(**({"max_tokens": 512} | settings))
    except BadRequest as fault:
        theirs = {ours: name for name, ours in OPTIONS.items()}
        name, equals, rest = str(fault).partition("=")
        raise Refusal(400, "invalid", theirs.get(name, name) + equals + rest) from None


def figures(began: float, prompt_tokens: int, tokens: list[Token], end: End) -> dict:
    """What the answer cost, in nanoseconds: reading the prompt until the first token, writing from there."""
    first_s = tokens[0].time_s if tokens else end.time_s
    times = {"total_duration": time.perf_counter() - began, "load_duration": 0,
             "prompt_eval_duration": first_s - began, "eval_duration": end.time_s - first_s}  # fmt: skip
    return {"done": True, "done_reason": DONE.get(end.reason, end.reason), "prompt_eval_count": prompt_tokens,
            "eval_count": len(tokens), **{name: int(1e9 * value) for name, value in times.items()}}  # fmt: skip


BLOCK = 4 << 20


class Ollama(Profile):
    """What `ollama serve` answers at 127.0.0.1:11434, keys ignored as there."""

    name = "ollama"
    title = "Ollama"

    def __init__(self, desk, key=None, switches=None):
        super().__init__(desk, key, switches)
        own = self.engine.card.ids.ollama or self.engine.name
        self._known = {tagged(one.ids.ollama) for one in cards().values() if one.ids.ollama} | {tagged(own)}
        self._pulled = {tagged(own)}

    def models(self) -> list[str]:
        return sorted(self._pulled)

    def find_model(self, asked: str | None) -> str:
        if not isinstance(asked, str) or tagged(asked) not in self._pulled:
            raise Refusal(404, "not_found", f"model '{asked}' not found")
        return asked

    def error(self, refusal: Refusal) -> dict:
        return {"error": refusal.message}

    def extra_routes(self) -> list[Route]:
        return [
            Route("/", lambda request: PlainTextResponse(f"Ollama is running\n{sentence(self)}\n")),
            Route("/api/version", self._version),
            Route("/api/tags", self._tags),
            Route("/api/ps", self._tags),
            Route("/api/show", self._show, methods=["POST"]),
            Route("/api/pull", self._pull, methods=["POST"]),
            Route("/api/delete", self._delete, methods=["DELETE"]),
            Route("/api/chat", self._api_chat, methods=["POST"]),
            Route("/api/generate", self._generate, methods=["POST"]),
        ]

    async def _version(self, request: Request) -> Response:
        return JSONResponse({"version": "0.0.0-practice"})

    async def _tags(self, request: Request) -> Response:
        self.authorize(request)
        size = sum(file.stat().st_size for file in self._files())
        return JSONResponse({"models": [self._described(one) | {"size": size} for one in self.models()]})

    def _described(self, name: str) -> dict:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return {"name": name, "model": name, "modified_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "digest": digest,
                "details": self._details()}  # fmt: skip

    def _details(self) -> dict:
        family = self.engine.card.family.lower()
        size = f"{(self.engine.card.parameters or 0) / 1e6:.0f}M"
        return {"format": "onnx", "family": family, "families": [family], "parameter_size": size,
                "quantization_level": self.engine.precision or ""}  # fmt: skip

    async def _show(self, request: Request) -> Response:
        body = await self.body(request)
        name = self.find_model(body.get("model") or body.get("name"))
        own = self.engine.card
        info = {"general.architecture": own.family.lower(), "general.parameter_count": own.parameters,
                "context_length": self.engine.context}  # fmt: skip
        text = f"# answered by {self.engine.name}\nFROM {name}\n"
        shown = {"modelfile": text, "template": "", "parameters": "", "license": own.licence}
        return JSONResponse(shown | {"details": self._details(), "model_info": info, "capabilities": ["completion"]})

    async def _delete(self, request: Request) -> Response:
        body = await self.body(request)
        self._pulled.discard(tagged(self.find_model(body.get("model") or body.get("name"))))
        return Response()

    async def _pull(self, request: Request) -> Response:
        body = await self.body(request)
        name = body.get("model") or body.get("name")
        if not isinstance(name, str) or tagged(name) not in self._known:
            lines = [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]
            return _answer(_each(lines), body.get("stream", True))
        return _answer(self._pulling(tagged(name)), body.get("stream", True))

    async def _pulling(self, name: str) -> AsyncIterator[dict]:
        """The lines of a pull. Nothing is downloaded: what is counted is the reading of the files that are here."""
        yield {"status": "pulling manifest"}
        for file in self._files():
            digest = await asyncio.to_thread(_digest, file)
            completed, total = 0, file.stat().st_size
            status = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": total}
            with file.open("rb") as stream:
                while block := await asyncio.to_thread(stream.read, BLOCK):
                    completed += len(block)
                    yield status | {"completed": completed}
        self._pulled.add(name)
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield {"status": status}

    def _files(self) -> list[Path]:
        folder = getattr(getattr(self.engine, "format", None), "folder", None)
        return sorted(folder.glob("*.onnx*")) if folder else []

    async def _api_chat(self, request: Request) -> Response:
        body = await self.body(request)
        name = self.find_model(body.get("model"))
        check_supported(body, name)
        given = body.get("messages") or []
        messages = tuple(read_message(one) for one in (given if isinstance(given, list) else [given]))
        if not messages:  # as Ollama does: the model is loaded, nothing is asked
            return self._loaded(name, {"message": said_by_model("")}, body)
        ask = Ask(name, read_sampling(body), messages=messages)
        return await self._reply(request, ask, body, lambda text: {"message": said_by_model(text)})

    async def _generate(self, request: Request) -> Response:
        body = await self.body(request)
        name = self.find_model(body.get("model"))
        check_supported(body, name)
        prompt = body.get("prompt") or ""
        if not prompt:
            return self._loaded(name, {"response": ""}, body)
        system = [Message("system", body["system"])] if body.get("system") else []
        user = read_message({"role": "user", "content": prompt, "images": body.get("images")})
        raw = {"text": prompt} if body.get("raw") else {"messages": (*system, user)}
        return await self._reply(request, Ask(name, read_sampling(body), **raw), body, lambda text: {"response": text})

    def _loaded(self, name: str, said: dict, body: dict) -> Response:
        """What a call without a question gets: the model is loaded, or with keep_alive 0 unloaded."""
        reason = "unload" if body.get("keep_alive") in (0, "0", "0s") else "load"
        return JSONResponse(self._line(name, said) | {"done": True, "done_reason": reason})

    async def _reply(self, request: Request, ask: Ask, body: dict, said) -> Response:
        began = time.perf_counter()
        events = self.timed(self.desk.answer(lambda: self.reply(ask), request.is_disconnected))
        if body.get("stream", True) is False:
            prompt_tokens, tokens, end = await whole(events, request.is_disconnected)
            line = self._line(ask.model, said("".join(token.text for token in tokens)))
            return JSONResponse(line | figures(began, prompt_tokens, tokens, end))
        first = await anext(events)
        return _answer(self._lines(ask.model, first, events, said, began), True)

    async def _lines(self, name: str, first: Accepted, events, said, began: float) -> AsyncIterator[dict]:
        tokens = []
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, End):
                        yield self._line(name, said("")) | figures(began, first.prompt_tokens, tokens, event)
                        return
                    tokens.append(event)
                    if event.text:
                        yield self._line(name, said(event.text))
        except Refusal as refusal:  # the status is long sent
            self.telemetry.refused(refusal.status)
            yield self.error(refusal)

    def _line(self, name: str, said: dict) -> dict:
        return {"model": name, "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", **said, "done": False}


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _answer(lines: AsyncIterator[dict], stream) -> Response:
    """Lines of JSON as they come; or, for a client that doesn't stream, when all is done, the last one."""
    if stream is False:
        return LastLine(lines)

    async def written() -> AsyncIterator[bytes]:
        async with aclosing(lines):
            async for one in lines:
                yield one_line(one) + b"\n"

    return StreamingResponse(written(), media_type="application/x-ndjson")


class LastLine(Response):
    """Sends the last of some lines."""

    def __init__(self, lines: AsyncIterator[dict]):
        super().__init__()
        self._lines = lines

    async def __call__(self, scope, receive, send) -> None:
        last = {}
        async for one in self._lines:
            last = one
        await JSONResponse(last, 500 if "error" in last else 200)(scope, receive, send)


async def _each(lines: list[dict]) -> AsyncIterator[dict]:
    for one in lines:
        yield one

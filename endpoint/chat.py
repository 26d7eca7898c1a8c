"""/v1/chat/completions: a conversation answered, whole or as a stream, and Ollama's way to the same Ask.

Knows nothing about engines: the profile admits an ask and runs it.
"""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from endpoint import openai_protocol as protocol
from endpoint.tools import Tool, Tools
from slmlab.records import Token


class ChatBody(protocol.Settings):
    messages: list[protocol.Turn] = Field(min_length=1, max_length=protocol.MOST_MESSAGES)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: protocol.Form | None = None
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: str | dict[str, Any] | None = None
    functions: protocol.Nothing = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None


def read_chat(data: bytes) -> protocol.Ask:
    """The body of a chat completion."""
    body = protocol.read_as(ChatBody, data)
    tools = Tools.of(body.tools, body.tool_choice)
    form = body.response_format.settings() if body.response_format else {}
    form = {"grammar": tools.grammar(form.get("schema"))} if tools else form
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    told = {"logprobs": bool(body.logprobs), "top_logprobs": body.top_logprobs or 0}
    messages = protocol.as_messages(body.messages, tools)
    settings = body.sampling(most, **form, **told)
    return protocol.Ask(body.model, settings, messages, bool(body.stream), body.with_usage, tools, body.n or 1)


async def chat(profile, request: Request) -> Response:
    return await serve(profile, request, read_chat(await profile.body(request)))


async def serve(profile, request: Request, ask: protocol.Ask) -> Response:
    """The answers to a chat."""
    model, queue, ask = await profile.admit(request, ask)
    writer = Writer(ask, model, f"slmlab-{queue.engine.name}-{queue.engine.precision}")
    answers = [protocol.Answer(ask.tools) for _ in range(ask.count)]
    return await answered(profile, request, queue, profile.replies(queue.engine, ask), answers, writer)


async def answered(profile, request: Request, queue, replies: list, answers: list[protocol.Answer], writer) -> Response:
    """The choices of a chat or of a completion, in the form that `writer` gives them."""
    runs = await profile.begin(request, queue, replies, answers)
    if writer.ask.stream:
        return StreamingResponse(_stream(profile, runs, answers, writer), media_type="text/event-stream")
    await profile.finish(runs)
    return JSONResponse(profile.decorated(writer.whole(answers), "".join(one.stopped for one in answers)))


async def _stream(profile, runs: list, answers: list[protocol.Answer], writer) -> AsyncIterator[bytes]:
    """One choice after the other, each with its pieces and its end."""
    try:
        for chunk in [*profile.opening_chunks(), *writer.openings(len(answers))]:
            yield protocol.event_of(chunk)
        for number, (run, answer) in enumerate(zip(runs, answers, strict=True)):
            async with aclosing(run):
                async for event in run:
                    if isinstance(event, Token) and event.text and not answer.may_be_call:
                        yield protocol.event_of(profile.decorated(writer.piece(number, event)))
            for chunk in writer.ending(number, answer):
                yield protocol.event_of(profile.decorated(chunk, answer.stopped))
        if writer.ask.with_usage:
            yield protocol.event_of(writer.chunk([]) | {"usage": protocol.usage(answers)})
        yield b"data: [DONE]\n\n"
    except (
        protocol.Refusal
    ) as refusal:  # the status is long sent: what is left is to say it in the stream, without [DONE]
        yield protocol.event_of(profile.error(refusal))


class Writer:
    """Answers to a chat as JSON: whole, or chunk by chunk."""

    kind, mark = "chat.completion", "chatcmpl"

    def __init__(self, ask: protocol.Ask, model: str, fingerprint: str):
        self.ask = ask
        self._head = {"id": f"{self.mark}-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": model,
                      "system_fingerprint": fingerprint}  # fmt: skip

    def whole(self, answers: Sequence[protocol.Answer]) -> dict:
        choices = [self.choice(number, one) for number, one in enumerate(answers)]
        return {**self._head, "object": self.kind, "choices": choices, "usage": protocol.usage(answers)}

    def chunk(self, choices: list[dict]) -> dict:
        unknown_yet = {"usage": None} if self.ask.with_usage else {}
        return {**self._head, "object": f"{self.kind}.chunk", "choices": choices} | unknown_yet

    def choice(self, number: int, answer: protocol.Answer) -> dict:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.call:
            message |= {"content": None, "tool_calls": [answer.call.model_dump()]}
        reason = "tool_calls" if answer.call else protocol.FINISH.get(answer.reason)
        return _choice(number, {"message": message}, answer.tokens, reason)

    def openings(self, count: int) -> list[dict]:
        return [self.chunk([_choice(one, {"delta": {"role": "assistant", "content": ""}})]) for one in range(count)]

    def piece(self, number: int, token: Token) -> dict:
        return self.chunk([_choice(number, {"delta": {"content": token.text}}, [token])])

    def ending(self, number: int, answer: protocol.Answer) -> list[dict]:
        """The call of a function, or what looked like one and was cut off; and why the answer ends."""
        delta = {"content": answer.text} if answer.may_be_call else {}
        if answer.call:
            delta = {"tool_calls": [{"index": 0, **answer.call.model_dump()}]}
        said = [self.chunk([_choice(number, {"delta": delta})])] if delta else []
        reason = self.choice(number, answer)["finish_reason"]
        return [*said, self.chunk([_choice(number, {"delta": {}}, (), reason)])]


def _choice(number: int, said: dict, tokens: Sequence[Token] = (), reason: str | None = None) -> dict:
    told = [_logprob(one) for one in tokens if one.logprob is not None]
    return {"index": number, **said, "logprobs": {"content": told} if told else None, "finish_reason": reason}


def _logprob(token: Token) -> dict:
    def one(text: str, logprob: float) -> dict:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return one(token.text, token.logprob) | {"top_logprobs": [one(*best) for best in protocol.likely(token).items()]}

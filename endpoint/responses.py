"""/v1/responses: OpenAI's newer form of a chat, the default of its SDK and of others built on it.

A request becomes the same Ask as a chat's, and its answer is told as items and named events. Nothing is stored: each
request brings the whole conversation.
"""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from endpoint import openai_protocol as protocol
from endpoint.tools import Call, CalledFunction, Function, Tool, Tools
from slmlab.records import Token

PARTS = {"input_text": "text", "output_text": "text", "text": "text", "input_image": "image_url"}


class Part(BaseModel):
    type: Literal["input_text", "output_text", "text", "input_image"]
    text: str = ""
    image_url: str | None = None

    def as_chats(self) -> dict:
        image = {"type": "image_url", "image_url": {"url": self.image_url}}
        return image if self.type == "input_image" else {"type": "text", "text": self.text}


class Item(BaseModel):
    """A message, a call of a function or what it gave; a model's own thoughts are passed over."""

    type: Literal["message", "function_call", "function_call_output", "reasoning", "item_reference"] = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: str | list[Part] | None = None
    name: str = ""
    arguments: str = "{}"
    output: str | list[Part] | None = None

    def as_turn(self) -> protocol.Turn:
        if self.type == "function_call":
            function = CalledFunction(name=self.name, arguments=self.arguments)
            return protocol.Turn(role="assistant", tool_calls=[Call(function=function)])
        role, said = ("tool", self.output) if self.type == "function_call_output" else (self.role, self.content)
        content = [one.as_chats() for one in said] if isinstance(said, list) else said
        return protocol.Turn(role=role, content=content)


class TextOptions(BaseModel):
    format: protocol.Form | None = None


class FlatTool(Function):
    """A function whose name stands beside its type. The tools that OpenAI runs itself aren't here."""

    type: Literal["function"]


class ResponseBody(protocol.Settings):
    input: str | Annotated[list[Item], Field(min_length=1, max_length=protocol.MOST_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: int | None = None
    text: TextOptions | None = None
    tools: list[FlatTool] | None = Field(None, max_length=128)
    tool_choice: str | dict[str, Any] | None = None
    previous_response_id: str | None = None
    background: Literal[False] | None = None
    conversation: None = None
    n: None = None


async def respond(profile, request: Request) -> Response:
    body: ResponseBody = protocol.read_as(ResponseBody, await profile.body(request))
    model, queue, ask = await profile.admit(request, _ask(body))
    answer = protocol.Answer(ask.tools)
    (run,) = await profile.begin(request, queue, profile.replies(queue.engine, ask), [answer])
    told = Told(body, model, answer)
    if body.stream:
        return StreamingResponse(_stream(run, told), media_type="text/event-stream")
    await profile.finish([run])
    return JSONResponse(told.response())


def _ask(body: ResponseBody) -> protocol.Ask:
    items = [Item(content=body.input)] if isinstance(body.input, str) else body.input
    if body.previous_response_id or any(one.type == "item_reference" for one in items):
        words = "Nothing is stored here: send the whole conversation as input, with store=false."
        raise protocol.Refusal(400, "unsupported_parameter", words, param="previous_response_id")
    turns = [one.as_turn() for one in items if one.type != "reasoning"]
    if body.instructions or not turns:
        turns.insert(0, protocol.Turn(role="system", content=body.instructions or ""))
    tools = Tools.of([Tool(type="function", function=one) for one in body.tools or []], body.tool_choice)
    form = body.text.format.settings() if body.text and body.text.format else {}
    form = {"grammar": tools.grammar(form.get("schema"))} if tools else form
    settings = body.sampling(body.max_output_tokens, **form)
    return protocol.Ask(body.model, settings, protocol.as_messages(turns, tools), bool(body.stream), tools=tools)


class Told:
    """One response as it grows: its object, the item that it holds, and numbered events."""

    def __init__(self, body: ResponseBody, model: str, answer: protocol.Answer):
        self.answer, self._numbers = answer, count()
        self.id, self.item_id = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        given = body.model_dump(include={"instructions", "max_output_tokens", "tools", "tool_choice"})
        self._same = given | {
            "id": self.id, "object": "response", "created_at": int(time.time()), "model": model, "error": None,
            "temperature": body.temperature or 0.0, "top_p": body.top_p or 1.0, "tools": given["tools"] or [],
            "tool_choice": body.tool_choice or "auto", "parallel_tool_calls": False, "previous_response_id": None,
            "metadata": {}, "store": False, "truncation": "disabled", "text": {"format": {"type": "text"}},
        }  # fmt: skip

    def response(self) -> dict:
        """The whole as it stands: in progress until the answer has ended."""
        why = {"length": "max_output_tokens", "filtered": "content_filter"}.get(self.answer.reason)
        status = "incomplete" if why else "completed" if self.answer.reason else "in_progress"
        new, read = len(self.answer.tokens), self.answer.prompt_tokens
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": read, "output_tokens": new, "total_tokens": read + new} | details
        ended = self.answer.reason is not None
        return self._same | {
            "status": status, "incomplete_details": {"reason": why} if why else None,
            "output": [self.item()] if ended else [], "usage": usage if ended else None,
        }  # fmt: skip

    def item(self) -> dict:
        status = "in_progress" if self.answer.reason is None else "completed"
        if call := self.answer.call:
            called = {"type": "function_call", "call_id": call.id, **call.function.model_dump()}
            return {"id": self.item_id, "status": status, **called}
        content = [self.part(self.answer.text)] if self.answer.reason else []
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": status, "content": content}

    def part(self, text: str) -> dict:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def event(self, kind: str, **said) -> bytes:
        kind = f"response.{kind}"
        return protocol.event_of({"type": kind, "sequence_number": next(self._numbers)} | said, kind)

    def of_item(self, kind: str, **said) -> bytes:
        return self.event(kind, item_id=self.item_id, output_index=0, **said)


async def _stream(run, told: Told) -> AsyncIterator[bytes]:
    """The events in their order: the response, its item, the parts of its text, and each again when it is whole."""
    answer, begun = told.answer, False
    try:
        yield told.event("created", response=told.response())
        yield told.event("in_progress", response=told.response())
        async with aclosing(run):
            async for event in run:
                if not isinstance(event, Token) or not event.text or answer.may_be_call:
                    continue
                if not begun:
                    begun = True
                    for one in _text_begins(told):
                        yield one
                yield told.of_item("output_text.delta", content_index=0, delta=event.text, logprobs=[])
    except protocol.Refusal as refusal:  # the status is long sent
        error = {"code": "server_error", "message": refusal.message}
        yield told.event("failed", response=told.response() | {"status": "failed", "error": error})
        return
    for one in _ends(told, begun):
        yield one
    yield told.event("incomplete" if told.response()["incomplete_details"] else "completed", response=told.response())


def _text_begins(told: Told):
    item = told.item() | {"status": "in_progress", "content": []}
    yield told.event("output_item.added", output_index=0, item=item)
    yield told.of_item("content_part.added", content_index=0, part=told.part(""))


def _ends(told: Told, begun: bool):
    item, text = told.item(), told.answer.text
    if told.answer.call:
        yield told.event("output_item.added", output_index=0, item=item | {"status": "in_progress", "arguments": ""})
        yield told.of_item("function_call_arguments.delta", delta=item["arguments"])
        yield told.of_item("function_call_arguments.done", arguments=item["arguments"], name=item["name"])
    else:
        if not begun:
            yield from _text_begins(told)
        yield told.of_item("output_text.done", content_index=0, text=text, logprobs=[])
        yield told.of_item("content_part.done", content_index=0, part=told.part(text))
    yield told.event("output_item.done", output_index=0, item=item)

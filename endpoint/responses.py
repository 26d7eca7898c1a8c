"""/v1/responses: OpenAI's newer form of a chat, the default of its SDK and of others built on it.

An answer is told as items and named events. Nothing is stored: each request brings the whole conversation.
"""

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import Annotated, Literal

from pydantic import AliasPath, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from endpoint import openai_protocol as protocol
from endpoint.completions import answered
from endpoint.profile import Profile
from endpoint.tools import NAME, Call


class Item(BaseModel):
    """A message, a call of a function or what it gave; a model's own thoughts are passed over."""

    type: Literal["message", "function_call", "function_call_output", "reasoning", "item_reference"] = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: str | list[protocol.Part] | None = None
    name: str = Field("", pattern=NAME)
    arguments: str = "{}"
    output: str | list[protocol.Part] | None = None

    def as_turn(self) -> protocol.Turn:
        if self.type == "function_call":
            return protocol.Turn(role="assistant", tool_calls=[Call(name=self.name, arguments=self.arguments)])
        if self.type == "function_call_output":
            return protocol.Turn(role="tool", content=self.output)
        return protocol.Turn(role=self.role, content=self.content)


class ResponseBody(protocol.Settings):
    input: str | Annotated[list[Item], Field(min_length=1, max_length=protocol.MOST_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: int | None = None
    form: protocol.Form | None = Field(None, validation_alias=AliasPath("text", "format"))
    previous_response_id: str | None = None


async def respond(profile: Profile, request: Request) -> Response:
    body: ResponseBody = protocol.read_as(ResponseBody, await profile.body(request))
    (answer,) = await profile.begin(request, _ask(body))
    return await answered(ItemWriter(body, answer))


def _ask(body: ResponseBody) -> protocol.Ask:
    items = [Item(content=body.input)] if isinstance(body.input, str) else body.input
    if body.previous_response_id or any(one.type == "item_reference" for one in items):
        words = "Nothing is stored here: send the whole conversation as input, with store=false."
        raise protocol.Refusal(400, "unsupported_parameter", words, param="previous_response_id")
    turns = [one.as_turn() for one in items if one.type != "reasoning"]
    if body.instructions or not turns:
        turns.insert(0, protocol.Turn(role="system", content=body.instructions or ""))
    return replace(body.ask_turns(turns, body.form, body.max_output_tokens), count=1)


class ItemWriter:
    """One response as JSON: its object with the one item that it holds, or numbered events."""

    def __init__(self, body: ResponseBody, answer: protocol.Answer):
        self.answer, self.answers, self._numbers = answer, [answer], count()
        self._item_id = f"msg_{uuid.uuid4().hex}"
        given = {"instructions", "max_output_tokens", "temperature", "top_p", "tools", "tool_choice"}
        told = {"tools": [], "tool_choice": "auto"} | body.model_dump(include=given, exclude_none=True)
        self._head = {"id": f"resp_{uuid.uuid4().hex}", "object": "response", "created_at": int(time.time()),
                      "model": answer.ask.model, "parallel_tool_calls": False, **told}  # fmt: skip

    def whole(self, **changes) -> dict:
        """The whole as it stands: in progress until the answer has ended."""
        said = {"status": "in_progress", "error": None, "incomplete_details": None, "output": [], "usage": None}
        if reason := self.answer.reason:
            why = {"length": "max_output_tokens", "filtered": "content_filter"}.get(reason)
            said |= {"status": "incomplete", "incomplete_details": {"reason": why}} if why else {"status": "completed"}
            new, read = len(self.answer.tokens), self.answer.prompt_tokens
            details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
            usage = {"input_tokens": read, "output_tokens": new, "total_tokens": read + new}
            said |= {"output": [self._item()], "usage": usage | details}
        return self._head | said | changes

    def _item(self, **changes) -> dict:
        said = {"type": "message", "role": "assistant", "content": [_part(self.answer.text)]}
        if call := self.answer.call:
            said = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        status = "incomplete" if self.answer.reason in ("length", "filtered") else "completed"
        return {"id": self._item_id, "status": status, **said, **changes}

    async def events(self) -> AsyncIterator[bytes]:
        """A stream: the response, its item, the parts of its text, and each again when it is whole."""
        yield self._event("created", response=self.whole())
        yield self._event("in_progress", response=self.whole())
        pieces = self.answer.pieces()
        try:
            piece = await anext(pieces, None)  # of a call no piece comes
            if self.answer.call:
                yield self._event("output_item.added", item=self._item(status="in_progress", arguments=""))
                yield self._event("function_call_arguments.delta", delta=self.answer.call.arguments)
                yield self._event("function_call_arguments.done", arguments=self.answer.call.arguments)
            else:
                yield self._event("output_item.added", item=self._item(status="in_progress", content=[]))
                yield self._event("content_part.added", part=_part(""))
                while piece:
                    yield self._event("output_text.delta", delta=piece.text, logprobs=[])
                    piece = await anext(pieces, None)
                yield self._event("output_text.done", text=self.answer.text, logprobs=[])
                yield self._event("content_part.done", part=_part(self.answer.text))
        except protocol.Refusal as refusal:  # the status is long sent
            error = {"code": "server_error", "message": refusal.message}
            yield self._event("failed", response=self.whole(status="failed", error=error))
            return
        yield self._event("output_item.done", item=self._item())
        whole = self.whole()
        yield self._event(whole["status"], response=whole)

    def _event(self, kind: str, **said) -> bytes:
        """An event by its number; one of the item, of which there is one, says where that stands."""
        place = {} if "response" in said else {"item_id": self._item_id, "output_index": 0, "content_index": 0}
        record = {"type": f"response.{kind}", "sequence_number": next(self._numbers)}
        return protocol.event_of(record | place | said, record["type"])


def _part(text: str) -> dict:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

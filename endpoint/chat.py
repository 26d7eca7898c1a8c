"""/v1/chat/completions: a conversation answered, whole or as a stream of chunks.

Knows nothing about engines: the profile begins the answers.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from endpoint import openai_protocol as protocol
from endpoint.openai_protocol import Answer, Ask
from endpoint.profile import Profile
from slmlab.records import Token

EMPTY = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}  # the chunk that tells of the prompt


class ChatBody(protocol.Settings):
    messages: list[protocol.Turn] = Field(min_length=1, max_length=protocol.MOST_MESSAGES)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: protocol.Form | None = None


def read_chat(data: bytes) -> Ask:
    body: ChatBody = protocol.read_as(ChatBody, data)
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    told = {"logprobs": bool(body.logprobs), "top_logprobs": body.top_logprobs or 0}
    return body.ask_turns(body.messages, body.response_format, most, **told)


async def chat(profile: Profile, request: Request) -> Response:
    ask = read_chat(await profile.body(request))
    return await answered(Writer(profile, await profile.begin(request, ask)))


class Writer:
    """Answers to a chat as JSON: whole, or chunk by chunk."""

    kind, chunk_kind, mark = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def __init__(self, profile: Profile, answers: Sequence[Answer]):
        self.profile, self.ask, self.answers = profile, answers[0].ask, answers
        self._head = {"id": f"{self.mark}-{uuid.uuid4().hex[:24]}", "created": int(time.time()),
                      "model": self.ask.model, "system_fingerprint": self.ask.fingerprint}  # fmt: skip

    def whole(self) -> dict:
        choices = [self.choice(i, "message", _message(one), one.tokens, one) for i, one in enumerate(self.answers)]
        told = {"object": self.kind, "choices": choices, "usage": protocol.usage(self.answers)}
        return self._head | told | self.profile.prompt_verdict

    def chunk(self, choices: list[dict]) -> dict:
        unknown_yet = {"usage": None} if self.ask.with_usage else {}
        return self._head | {"object": self.chunk_kind, "choices": choices} | unknown_yet

    def choice(self, number: int, key: str, said: dict, tokens: Sequence[Token], ended: Answer | None = None) -> dict:
        """A whole message or, as a `delta`, a piece of one; and why it ended, once it has."""
        told = [_logprob(one) for one in tokens if one.logprob is not None]
        choice = {"index": number, key: said, "logprobs": {"content": told} if told else None,
                  "finish_reason": ended and ended.finish_reason}  # fmt: skip
        text = ended and ended.stopped or said.get("content") or ""
        return choice | self.profile.verdict(text) if ended or text else choice

    async def events(self) -> AsyncIterator[bytes]:
        """A stream: one choice after the other, each with its pieces and its end."""

        def event(number: int, said: dict, tokens: Sequence[Token] = (), ended: Answer | None = None) -> bytes:
            return protocol.event_of(self.chunk([self.choice(number, "delta", said, tokens, ended)]))

        try:
            if self.profile.prompt_verdict:
                yield protocol.event_of(EMPTY | self.profile.prompt_verdict)
            for number, answer in enumerate(self.answers):
                yield event(number, {"role": "assistant", "content": ""})
                async for token in answer.pieces():
                    yield event(number, {"content": token.text}, [token])
                if answer.call:
                    yield event(number, {"tool_calls": [{"index": 0, **answer.call.told}]})
                yield event(number, {}, ended=answer)
            if self.ask.with_usage:
                yield protocol.event_of(self.chunk([]) | {"usage": protocol.usage(self.answers)})
            yield b"data: [DONE]\n\n"
        except protocol.Refusal as refusal:  # the status is long sent: it is said in the stream, without [DONE]
            yield protocol.event_of(self.profile.error(refusal))


async def answered(writer) -> Response:
    """What a writer makes of its answers. Those that aren't streamed are written side by side."""
    if writer.answers[0].ask.stream:
        return StreamingResponse(writer.events(), media_type="text/event-stream")
    await asyncio.gather(*(one.finish() for one in writer.answers))
    return JSONResponse(writer.whole())


def _message(answer: Answer) -> dict:
    said = {"content": answer.text}
    if answer.call:
        said = {"content": None, "tool_calls": [answer.call.told]}
    return {"role": "assistant", "refusal": None} | said


def _logprob(token: Token) -> dict:
    def one(text: str, logprob: float) -> dict:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return one(token.text, token.logprob) | {"top_logprobs": [one(*best) for best in protocol.likely(token).items()]}

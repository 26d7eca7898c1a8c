"""/v1/chat/completions and /v1/completions: a conversation answered, or a text gone on with as it stands.

With `echo` the text is told too, and how likely each of its tokens was: lm-eval measures a model with that.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain, repeat
from typing import Annotated

import numpy as np
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from endpoint import openai_protocol as protocol
from endpoint.openai_protocol import Answer, Ask, Refusal
from endpoint.profile import Profile
from slmlab.engines.local import LocalEngine, likeliest
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token
from slmlab.sampling import log_softmax

EMPTY = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}  # the chunk that tells of the prompt
DEFAULT_TOKENS = 16  # of a completion, as OpenAI's
MOST_ANSWERS = 64  # of a request: lm-eval sends some prompts at once
Ids = Annotated[list[int], Field(min_length=1)]


class ChatBody(protocol.Settings):
    messages: list[protocol.Turn] = Field(min_length=1, max_length=protocol.MOST_MESSAGES)
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
        except Refusal as refusal:  # the status is long sent: it is said in the stream, without [DONE]
            yield protocol.event_of(self.profile.error(refusal))


async def answered(writer) -> Response:
    """What a writer makes of its answers. Those that aren't streamed are written side by side."""
    if writer.answers[0].ask.stream:
        return StreamingResponse(writer.events(), media_type="text/event-stream")
    await asyncio.gather(*(one.finish() for one in writer.answers))
    return JSONResponse(writer.whole())


def _message(answer: Answer) -> dict:
    said = {"content": None, "tool_calls": [answer.call.told]} if answer.call else {"content": answer.text}
    return {"role": "assistant", "refusal": None} | said


def _logprob(token: Token) -> dict:
    def one(text: str, logprob: float) -> dict:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return one(token.text, token.logprob) | {"top_logprobs": [one(*best) for best in protocol.likely(token).items()]}


class CompletionBody(protocol.Settings):
    prompt: str | Ids | Annotated[list[str] | list[Ids], Field(min_length=1, max_length=MOST_ANSWERS)]
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None

    @property
    def prompts(self) -> list:
        several = isinstance(self.prompt, list) and not isinstance(self.prompt[0], int)
        return self.prompt if several else [self.prompt]

    def reply(self, engine: LocalEngine, ask: Ask, number: int) -> Reply:
        """One of the answers to one of the prompts; with `echo`, the prompt's own tokens come first."""
        prompt, settings = self.prompts[number // ask.count], ask.seeded(number % ask.count)
        if not ask.echo:
            return engine.complete(prompt, **settings)
        ids = engine.format.ids(prompt) if isinstance(prompt, str) else prompt
        rest = engine.complete(ids, **settings)  # refuses what can't be read
        return Reply(lambda: _echoed(engine, ids, Sampling(**settings), rest if self.max_tokens != 0 else None), "")


async def complete(profile: Profile, request: Request) -> Response:
    body: CompletionBody = protocol.read_as(CompletionBody, await profile.body(request))
    most = 1 if body.echo and body.max_tokens == 0 else body.max_tokens  # of a prompt that is only told, none is read
    told = {"logprobs": body.logprobs is not None, "top_logprobs": body.logprobs or 0}
    text = "\n".join(one for one in body.prompts if isinstance(one, str))
    ask = body.ask([Message("user", text)], body.sampling(most, DEFAULT_TOKENS, **told), echo=bool(body.echo))
    if len(body.prompts) * ask.count > MOST_ANSWERS:
        raise Refusal(400, "invalid_value", f"A request has at most {MOST_ANSWERS} answers.", param="n")
    return await answered(TextWriter(profile, await profile.begin(request, ask, body.reply, len(body.prompts))))


class TextWriter(Writer):
    """Completions as JSON; a chunk of one looks like the whole."""

    kind, chunk_kind, mark = "text_completion", "text_completion", "cmpl"

    def choice(self, number: int, key: str, said: dict, tokens: Sequence[Token], ended: Answer | None = None) -> dict:
        told = None
        if any(one.logprob is not None for one in tokens):
            top = [protocol.likely(one) | {one.text: one.logprob} if one.top else None for one in tokens]
            starts = list(accumulate((len(one.text) for one in tokens), initial=0))[:-1]
            told = {"tokens": [one.text for one in tokens], "token_logprobs": [one.logprob for one in tokens],
                    "top_logprobs": top, "text_offset": starts}  # fmt: skip
        text = "".join(one.text for one in tokens)
        return {"index": number, "text": text, "logprobs": told, "finish_reason": ended and ended.finish_reason}


def _echoed(engine: LocalEngine, ids: list[int], sampling: Sampling, rest: Reply | None) -> Iterator[Event]:
    yield Start(time.perf_counter(), len(ids))
    reader = engine.format.reader(with_marks=True)
    # what the model held likely at each place: of the first it knows nothing
    known = (log_softmax(row) for block in engine.logits(ids) for row in block)
    for id, row in zip(ids, chain([None], known) if sampling.logprobs else repeat(None), strict=False):
        token = Token(id, reader.read(id), time.perf_counter())
        if row is not None:
            top = likeliest(engine.format, np.exp(row), sampling.top_logprobs) if sampling.top_logprobs else ()
            token = replace(token, logprob=float(row[id]), top=top)
        yield token
    yield from rest or ()
    end = rest.end if rest else None
    yield end or End(time.perf_counter(), "length")

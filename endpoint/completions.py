"""/v1/completions: a text, or its ids, gone on with as it stands; with `echo`, the prompt told too, and how likely each
of its tokens was. That is what lm-eval measures a model with.

Knows nothing about chats: the engine reads the prompt with no template.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Annotated

import numpy as np
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from endpoint.chat import Writer, answered
from endpoint.openai_protocol import Answer, Ask, Refusal, Settings, likely, read_as
from endpoint.profile import Profile
from slmlab.engines.local import LocalEngine, likeliest
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token
from slmlab.sampling import log_softmax

DEFAULT_TOKENS = 16  # as OpenAI's
MOST_ANSWERS = 64  # of a request: lm-eval sends some prompts at once
Ids = Annotated[list[int], Field(min_length=1)]


class CompletionBody(Settings):
    prompt: str | Ids | Annotated[list[str] | list[Ids], Field(min_length=1, max_length=MOST_ANSWERS)]
    max_tokens: int | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    suffix: None = None
    best_of: int | None = Field(None, le=1)


async def complete(profile: Profile, request: Request) -> Response:
    body: CompletionBody = read_as(CompletionBody, await profile.body(request))
    prompts = body.prompt if isinstance(body.prompt, list) and not isinstance(body.prompt[0], int) else [body.prompt]
    only_told = body.max_tokens == 0 and bool(body.echo)
    told = {"logprobs": body.logprobs is not None, "top_logprobs": body.logprobs or 0}
    settings = body.sampling(1 if only_told else body.max_tokens, DEFAULT_TOKENS, **told)
    text = "\n".join(one for one in prompts if isinstance(one, str))
    ask = body.ask([Message("user", text)], settings, echo=bool(body.echo))
    if len(prompts) * ask.count > MOST_ANSWERS:
        raise Refusal(400, "invalid_value", f"A request has at most {MOST_ANSWERS} answers.", param="n")

    def reply(engine: LocalEngine, ask: Ask, number: int) -> Reply:
        prompt, settings = prompts[number // ask.count], ask.seeded(number % ask.count)
        return _reply(engine, prompt, settings, ask.echo, only_told)

    ask, answers = await profile.begin(request, ask, reply, len(prompts))
    return await answered(TextWriter(profile, ask), answers)


class TextWriter(Writer):
    """Completions as JSON; a chunk of one looks like the whole."""

    kind, chunk_kind, mark = "text_completion", "text_completion", "cmpl"

    def choice(self, number: int, key: str, said: dict, tokens: Sequence[Token], ended: Answer | None = None) -> dict:
        told = None
        if any(one.logprob is not None for one in tokens):
            top = [likely(one) | {one.text: one.logprob} if one.top else None for one in tokens]
            starts = list(accumulate((len(one.text) for one in tokens), initial=0))[:-1]
            told = {"tokens": [one.text for one in tokens], "token_logprobs": [one.logprob for one in tokens],
                    "top_logprobs": top, "text_offset": starts}  # fmt: skip
        text = "".join(one.text for one in tokens)
        return {"index": number, "text": text, "logprobs": told, "finish_reason": ended and ended.finish_reason}


def _reply(engine: LocalEngine, prompt: str | list[int], settings: dict, echo: bool, only_told: bool) -> Reply:
    """The answer to one prompt; with `echo`, the prompt's own tokens come first."""
    if not echo:
        return engine.complete(prompt, **settings)
    ids = engine.format.ids(prompt) if isinstance(prompt, str) else prompt
    rest = engine.complete(ids, **settings)  # refuses what can't be read
    return Reply(lambda: _echoed(engine, ids, Sampling(**settings), None if only_told else rest), engine.name)


def _echoed(engine: LocalEngine, ids: list[int], sampling: Sampling, rest: Reply | None) -> Iterator[Event]:
    yield Start(time.perf_counter(), len(ids))
    reader = engine.format.reader(with_marks=True)
    rows = _rows(engine, ids) if sampling.logprobs else [None] * len(ids)
    for id, row in zip(ids, rows, strict=True):
        token = Token(id, reader.read(id), time.perf_counter())
        if row is not None:
            top = likeliest(engine.format, np.exp(row), sampling.top_logprobs) if sampling.top_logprobs else ()
            token = replace(token, logprob=float(row[id]), top=top)
        yield token
    yield from rest or ()
    yield rest.end if rest else End(time.perf_counter(), "length")


def _rows(engine: LocalEngine, ids: list[int]) -> Iterator[np.ndarray | None]:
    """For each id, what the model held likely there: nothing for the first, which comes after none."""
    yield None
    left = len(ids) - 1
    for block in engine.logits(ids):
        for row in block[:left]:
            yield log_softmax(row)
        left -= len(block[:left])

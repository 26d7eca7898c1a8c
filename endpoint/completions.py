"""/v1/completions: a text, or its ids, gone on with as it stands; with `echo`, the prompt told too, and how likely each
of its tokens was. That is what lm-eval measures a model with.

Knows nothing about chats: the engine reads the prompt with no template.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Annotated

import numpy as np
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from endpoint.chat import Writer, answered
from endpoint.openai_protocol import FINISH, Answer, Ask, Refusal, Settings, likely, read_as
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


async def complete(profile, request: Request) -> Response:
    body: CompletionBody = read_as(CompletionBody, await profile.body(request))
    prompts = body.prompt if isinstance(body.prompt, list) and not isinstance(body.prompt[0], int) else [body.prompt]
    only_told = body.max_tokens == 0 and bool(body.echo)
    told = {"logprobs": body.logprobs is not None, "top_logprobs": body.logprobs or 0}
    settings = body.sampling(1 if only_told else body.max_tokens, DEFAULT_TOKENS, **told)
    text = "\n".join(one for one in prompts if isinstance(one, str))
    ask = Ask(body.model, settings, (Message("user", text),), bool(body.stream), body.with_usage, count=body.n or 1)
    if len(prompts) * ask.count > MOST_ANSWERS:
        raise Refusal(400, "invalid_value", f"A request has at most {MOST_ANSWERS} answers.", param="n")
    model, queue, _ = await profile.admit(request, ask)
    jobs = [(prompt, ask.seeded(number)) for prompt in prompts for number in range(ask.count)]
    replies = [partial(_reply, queue.engine, *job, bool(body.echo), only_told) for job in jobs]
    answers = [Answer(prompt=number // ask.count, echo=bool(body.echo)) for number in range(len(jobs))]
    return await answered(profile, request, queue, replies, answers, TextWriter(ask, model, queue.engine.name))


class TextWriter(Writer):
    """Completions as JSON."""

    kind, mark = "text_completion", "cmpl"

    def chunk(self, choices: list[dict]) -> dict:
        return super().chunk(choices) | {"object": self.kind}

    def choice(self, number: int, answer: Answer) -> dict:
        return _choice(number, answer.tokens, answer.reason)

    def openings(self, count: int) -> list[dict]:
        return []

    def piece(self, number: int, token: Token) -> dict:
        return self.chunk([_choice(number, [token])])

    def ending(self, number: int, answer: Answer) -> list[dict]:
        return [self.chunk([_choice(number, [], answer.reason)])]


def _choice(number: int, tokens: Sequence[Token], reason: str | None = None) -> dict:
    text, told = "".join(one.text for one in tokens), None
    if any(one.logprob is not None for one in tokens):
        top = [likely(one) | {one.text: one.logprob} if one.top else None for one in tokens]
        starts = list(accumulate((len(one.text) for one in tokens), initial=0))[:-1]
        told = {"tokens": [one.text for one in tokens], "token_logprobs": [one.logprob for one in tokens],
                "top_logprobs": top, "text_offset": starts}  # fmt: skip
    return {"index": number, "text": text, "logprobs": told, "finish_reason": FINISH.get(reason)}


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

"""/v1/completions: a text, or its ids, gone on with as it stands, with no chat template.

With `echo` the prompt is told too, and how likely each of its tokens was: lm-eval measures a model with that.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain, repeat
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

    @property
    def prompts(self) -> list[str | list[int]]:
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
    body: CompletionBody = read_as(CompletionBody, await profile.body(request))
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
            top = [likely(one) | {one.text: one.logprob} if one.top else None for one in tokens]
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
    yield rest.end if rest else End(time.perf_counter(), "length")

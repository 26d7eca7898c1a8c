"""A model that a service runs, over the openai package: the streams, the tries and the pauses are the SDK's own.

Turns what the SDK gives into Start, Token and End, and its exceptions into ProviderErrors that say what to do next.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from pydantic import SecretStr

from slmlab.catalog import Card
from slmlab.connecting import is_loopback
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest, IncompleteAnswer, ProviderError, SlmLabError
from slmlab.providers import Provider
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token, TokenProbability

TRIES = 3
LONGEST_WAIT_S = 120  # the SDK waits as long as a Retry-After asks, up to this; beyond, it gives up at once
FOREIGN = {"beams": 1, "top_k": 0, "repetition_penalty": 1.0}  # settings that the protocol has no word for
REASONS = {"length": "length", "content_filter": "filtered"}
UNREAD = ("reasoning_content", "reasoning", "tool_calls")  # what a model may send in place of text
PAGE = "a page of HTML came instead of an answer"
HAPPENED = {  # what stands in the cause of a broken connection, and what to call it
    "CERTIFICATE": "its certificate can't be verified",
    "refused": "nothing listens at {url}",
    "imeout": "no answer came in time",
    "resolution|not known|getaddrinfo": "the name {host} can't be found: no network, or no such host",
    "": "the connection broke",
}


class RemoteEngine(Engine):
    """A model behind OpenAI's protocol. Its tokens are the pieces that the server sends; the server counts them."""

    engine = "openai"

    def __init__(
        self, card: Card, provider: Provider, url: str, model: str, key: SecretStr | None = None, timeout_s: float = 120
    ):
        import openai

        super().__init__(card)
        self.provider, self.url, self.model, self._key, self._sdk = provider, url, model, key, openai
        self._faults = (openai.OpenAIError, ValueError)  # ValueError: an event that is no JSON
        self._client = openai.OpenAI(
            base_url=self.url,
            api_key=key.get_secret_value() if key else "none",
            organization="",  # and no project: else the SDK sends those of the environment
            project="",
            max_retries=TRIES - 1,
            timeout=openai.Timeout(timeout_s, connect=min(10, timeout_s)),  # a host that is there takes it at once
            http_client=openai.DefaultHttpxClient(
                trust_env=not is_loopback(self.url),  # a proxy can't reach this machine's own servers
                follow_redirects=False,  # a key is for the address that was named
                event_hooks={"request": [_stamp], "response": [self._say_wait]},
            ),
        )

    def models(self) -> list[str]:
        """The names of the models that the server offers."""
        listed = self._try(self._client.get, path="/models", cast_to=object)  # models.list() fails on a page of HTML
        if isinstance(listed, dict) and "data" in listed:
            return [one["id"] for one in listed["data"]]
        raise self._none_came("list of models")

    def close(self) -> None:
        self._client.close()

    def __repr__(self):
        return f"{self.name} · {self.engine} · {self.provider.name} at {self.url}"

    def _answer(self, messages: list[Message], sampling: Sampling, scorer, on_end) -> Reply:
        body = self._settings(sampling, scorer) | {"messages": [self._sent(one) for one in messages]}
        return Reply(lambda: self._stream(body), self.name, on_end)

    def _settings(self, sampling: Sampling, scorer) -> dict:
        """The settings as the protocol writes them; what it has no word for is refused, not dropped."""
        foreign = [name for name, plain in FOREIGN.items() if getattr(sampling, name) != plain]
        foreign += ["scorer"] if scorer else []
        if foreign:
            raise BadRequest(
                f"{foreign[0]} isn't part of OpenAI's protocol, so a service can't be asked for it. "
                "A model of this machine can: slmlab.load()."
            )
        body = {"model": self.model, "stream": True, "stream_options": {"include_usage": True}}
        body |= {name: getattr(sampling, name) for name in ("max_tokens", "temperature", "top_p")}
        body |= {"seed": sampling.seed} if sampling.seed is not None else {}
        body |= {"stop": list(sampling.stop)} if sampling.stop else {}
        return body | ({"logprobs": True, "top_logprobs": sampling.top_logprobs} if sampling.logprobs else {})

    def _sent(self, message: Message) -> dict:
        """A message as this provider takes it, pictures included."""
        most = self.provider.image_characters
        for picture in message.images:
            if most and len(picture.base64) >= most:
                raise BadRequest(
                    f"The picture has {len(picture.base64):,} characters in base64 and {self.provider.name} takes "
                    f"fewer than {most:,}. Make it smaller: picture.within({most:_})"
                )
        content = message.content
        if self.provider.image_form == "img-tag":
            content = " ".join([content, *(f'<img src="{picture.data_url}" />' for picture in message.images)])
        elif message.images:
            pictures = [{"type": "image_url", "image_url": {"url": picture.data_url}} for picture in message.images]
            content = [{"type": "text", "text": content}, *pictures]
        return {"role": message.role, "content": content}

    def _try(self, call: Callable, **options):
        """What a call of the SDK gives, or its fault as a ProviderError."""
        if self._client.is_closed():
            raise SlmLabError("This connection was closed. Open another: slmlab.connect(...)")
        try:
            return call(**options)
        except self._faults as problem:
            fault = self._error(problem)
        raise fault  # after the except block: else __context__ keeps the SDK's frames, where a header holds the key

    def _stream(self, body: dict) -> Iterator[Event]:
        """A Start when the server takes the request, a Token for each piece, an End."""
        for again in (True, False):  # the SDK repeats a request, but no stream that breaks before its first piece
            answer, fault = Answer(), None
            with self._try(self._client.chat.completions.create, **body) as chunks:
                yield Start(chunks.response.request.extensions["sent_s"])
                try:
                    for chunk in chunks:
                        yield from answer.tokens(chunk)
                except self._faults as problem:
                    fault = self._error(problem)
            if answer.pieces or answer.reason:
                yield self._end(answer, fault)
                return
            if not fault or not again:
                raise fault or self._none_came("stream")

    def _end(self, answer: Answer, fault: ProviderError | None) -> End:
        words, who = None, self.provider.name
        if not answer.reason:
            cut = str(fault).removesuffix(fault.advice) if fault else f"{who}: the stream stopped before its end."
            words = f"{cut.rstrip()} What had arrived is kept."
        elif answer.unread and not answer.pieces:
            more = " Raise max_tokens: it was still thinking." if answer.reason == "length" else ""
            words = f"{who} sent {' and '.join(sorted(answer.unread))} and no text.{more}"
        if words:
            _warn(words)
        counts = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else (None, None)
        return End(perf_counter(), answer.reason or "incomplete", *counts, words)

    def _none_came(self, what: str) -> ProviderError:
        return ProviderError(f"{self.provider.name}: no {what} came from {self.url}.", "A proxy, or a wrong URL?")

    def _error(self, problem: Exception) -> ProviderError:
        """An exception of the SDK as a reader sees it: what happened, at whom, and what to do next."""
        status, wait_s, advice = None, None, ""
        if isinstance(problem, self._sdk.APIConnectionError):
            message, advice = self._broken(problem.__cause__)
        elif isinstance(problem, self._sdk.APIError):
            message = self._scrubbed(_message(problem.body))
            if isinstance(problem, self._sdk.APIStatusError):
                status, wait_s = problem.status_code, _wait_s(problem.response)
                advice = self._advice(status, problem.code, message, wait_s or 0)
        else:
            message = self._scrubbed(f"what came isn't OpenAI's protocol ({type(problem).__name__}: {problem})")
        text = f"{self.provider.name}{f' ({status})' if status else ''}: {message}."
        return ProviderError(text, advice, status=status, code=getattr(problem, "code", None), retry_after_s=wait_s)

    def _scrubbed(self, text: str) -> str:
        """The text without this key, which some services repeat when they refuse it."""
        if self._key:
            text = text.replace(self._key.get_secret_value(), "[key]")
        return " ".join(text.split()).rstrip(". ")

    def _broken(self, cause: Exception) -> tuple[str, str]:
        """What happened to a connection and what to do, read from the cause that the SDK keeps."""
        words = f"{type(cause).__name__} {cause}"
        what = next(text for sign, text in HAPPENED.items() if re.search(sign, words))
        advice = f"Asked {self.url}."
        if not is_loopback(self.url):
            advice += " Behind a proxy, look at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
        elif "refused" in words:
            advice = f"Start the server, or correct the URL. {self.provider.go_to}"
        return what.format(url=self.url, host=urlsplit(self.url).hostname), advice

    def _advice(self, status: int, code: str | None, message: str, wait_s: float) -> str:
        """What to do after a refusal."""
        who = self.provider
        if message == PAGE:
            return f"A proxy, or a wrong URL? (asked: {self.url})"
        if code == "content_filter":
            return "The service's content filter refused the prompt: word it differently."
        if wait_s > LONGEST_WAIT_S:
            return f"A limit is used up: it resets {_when(wait_s)}. Until then: another model, or a local one."
        if status in (401, 403):
            return self._key_advice(" for this" if status == 403 else "")
        if status == 404 and not urlsplit(self.url).path:
            return f"Asked {self.url}, which names no path: most servers answer under /v1, as in {self.url}/v1"
        if status == 404:
            return who.name_hint.format(model=self.model, url=self.url)
        if status == 410:
            promised = ", whatever the message says" if "temporar" in message else ""
            name = who.name.removesuffix(" (practice)")
            date = f" {name} was retired on {who.status_date}." if who.status == "retired" else ""
            return f"Gone for good{promised}.{date} {who.go_to}"
        if status == 413:
            return "Shorten the prompt or the conversation, or ask about one part at a time."
        if status in (408, 409, 429) or status >= 500:
            return f"Tried {TRIES} times. Try again later, or go on locally: slmlab.load()."
        if status < 400:
            return f"The address has moved, and a key is not sent after it: correct the URL (asked: {self.url})."
        return "The request is at fault, so trying again won't help."

    def _key_advice(self, for_what: str) -> str:
        who = self.provider
        hint = f"The key was refused{for_what}. {who.key_hint}" if self._key else "No key was sent: give key='...'."
        if who.status == "retired":  # it gives out no new key
            return f"{hint} {who.go_to}"
        return f"{hint} Check {who.key_names}; a new one: {who.key_from}" if who.key_names else hint

    def _say_wait(self, response) -> None:
        """Print what the SDK does without a word: it waits as long as the service asks, and tries again."""
        tries = 1 + int(response.request.headers.get("x-stainless-retry-count", 0))
        wait_s = _wait_s(response) or 0
        if response.is_error and tries < TRIES and 1 <= wait_s <= LONGEST_WAIT_S:
            print(f"{self.provider.name} asks to wait {wait_s:.0f} s; then try {tries + 1} of {TRIES}.")


@dataclass
class Answer:
    """What a stream has brought so far: its pieces counted, the reason and the usage once the server tells them."""

    pieces: int = 0
    reason: str | None = None
    usage: object = None
    unread: set[str] = field(default_factory=set)

    def tokens(self, chunk) -> Iterator[Token]:
        """The text of a chunk as one piece, or as its tokens where the server told each one's log-probability."""
        now = perf_counter()
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices:  # none in Azure's first chunk, which tells what the filter found in the prompt
            self.unread.update(name for name in UNREAD if getattr(choice.delta, name, None))
            text = choice.delta.content or ""
            told = choice.logprobs.content or [] if choice.logprobs else []
            tokens = [Token(None, one.token, now, one.logprob, _likeliest(one.top_logprobs)) for one in told]
            if "".join(token.text for token in tokens) != text:  # none was told, or they are no part of this piece
                tokens = [Token(None, text, now)]
            self.pieces += len(tokens)
            yield from tokens
            self.reason = REASONS.get(choice.finish_reason, "end") if choice.finish_reason else self.reason


def _likeliest(told: list) -> tuple[TokenProbability, ...]:
    return tuple(TokenProbability(None, one.token, exp(one.logprob)) for one in told)


def _message(body) -> str:
    """The words in a service's error body, whichever of the shapes in data/providers.toml it has."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("title") or body
    text = str(body or "no reason given")
    return PAGE if text.lstrip().startswith("<") else text


def _wait_s(response) -> float | None:
    """The seconds that a service asks to wait; None also for a date, which the SDK reads by itself."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.replace(".", "", 1).isdecimal() else None


def _stamp(request) -> None:
    """Note when this try is sent: the time to the first piece begins here, after the waits of earlier tries."""
    request.extensions["sent_s"] = perf_counter()


def _when(wait_s: float) -> str:
    """A moment by the clock, and how long that is: 'at 05:30 tomorrow, in 14 h 30 min'."""
    until = datetime.now() + timedelta(seconds=wait_s)
    days = (until.date() - datetime.now().date()).days
    day = "" if days == 0 else " tomorrow" if days == 1 else f" on {until:%Y-%m-%d}"
    hours, minutes = divmod(round(wait_s / 60), 60)
    return f"at {until:%H:%M}{day}, in {f'{hours:,} h ' if hours else ''}{minutes} min"


def _warn(words: str) -> None:
    """Warn at the line that read the answer, every time: the same cell may be run again."""
    frame, inner = sys._getframe(1), str(Path(__file__).parents[1]) + os.sep
    while frame.f_back and frame.f_code.co_filename.startswith(inner):
        frame = frame.f_back
    warnings.warn_explicit(words, IncompleteAnswer, frame.f_code.co_filename, frame.f_lineno)

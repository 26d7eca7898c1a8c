"""The engine over the openai package: the road of remote.py, with the SDK's own retries and redirects switched off."""

from __future__ import annotations

import json
import os
import random
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import exp
from pathlib import Path
from time import perf_counter, sleep
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from slmlab.catalog import Card
from slmlab.connecting import Key, Provider, is_loopback
from slmlab.engines.base import Engine, as_sampling
from slmlab.errors import BadRequest, IncompleteAnswer, NotHere, ProviderError, SlmLabError
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token, TokenProbability

LINE_END = re.compile(rb"\r\n|\n|\r")
FIELDS = (b":", b"event:", b"id:", b"retry:")  # of a stream, and of no use here
MOST_STRAY = 4000
NO_JSON = "what came isn't OpenAI's protocol: an event that is no JSON object"


def events(blocks: Iterator[bytes], headers: Mapping[str, str], silence_s: float) -> Iterator[dict]:
    """The objects of a stream until [DONE]. Broken when one tells a fault, when it is no stream, or when only
    pings come for too long."""
    pending, stray, found, last = b"", b"", False, perf_counter()
    for lines in _lines(blocks):
        for line in lines:
            if line.startswith(b"data:"):
                pending += line[5:].strip()
                if pending == b"[DONE]":
                    return
                event = _parsed(pending)
                if event is not None:
                    if fault := fault_of_chunk(event):
                        raise Broken(fault)
                    yield event
                    pending, found, last = b"", True, perf_counter()
            elif pending and not line:
                raise Broken(Fault(NO_JSON))
            elif line and not line.startswith(FIELDS):
                stray = (stray + line + b"\n")[:MOST_STRAY]
        if perf_counter() - last > silence_s:
            raise Broken(Fault("no answer came in time", connection=True))
    if not found and not pending:
        raise Broken(_no_stream(stray.decode("utf-8", "replace").strip(), headers))


def read_list(text: str, headers: Mapping[str, str]) -> object:
    """What a successful answer to a list of models holds, whatever type it says to be."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        fault = fault_of_answer(200, headers, text)
        raise Broken(fault if fault.kind else Fault(f"no list of models came, but this: {fault.message}")) from None


def _parsed(data: bytes) -> dict | None:
    """The object of an event; None while it goes on in a further line."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        raise Broken(Fault(NO_JSON))
    return event


def _no_stream(text: str, headers: Mapping[str, str]) -> Fault:
    """A success that is no stream of events: nothing, a proxy's page, or an answer all at once."""
    if not text:
        return Fault("the stream stopped before its end", connection=True)
    fault = fault_of_answer(200, headers, text)
    return fault if fault.kind else Fault(f"no stream came, but this: {fault.message}")


def _lines(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The lines that each block completes, whichever way they end, and what is left after the last block."""
    rest, mark = bytearray(), b"\xef\xbb\xbf"
    for block in blocks:
        rest += block
        if b"\n" not in block and b"\r" not in block:
            yield []
            continue
        held = rest.endswith(b"\r")  # it may be half of a line end
        *whole, last = LINE_END.split(bytes(rest[:-1] if held else rest).removeprefix(mark))
        rest, mark = bytearray(last + b"\r" if held else last), b""
        yield whole
    yield LINE_END.split(bytes(rest).removeprefix(mark))


LONGEST_WAIT_S = 60.0
LONGEST_TOLD_S = 1e8  # three years: what a service asks beyond is an error of its own
TRIES = 3
_WAIT = re.compile(r"wait (\d+(?:\.\d+)?) ?s", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One failure. `connection`: it may go away by itself. `kind` is 'refused', 'certificate', 'proxy', 'page' or
    empty."""

    message: str
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    connection: bool = False
    kind: str = ""

    @property
    def passing(self) -> bool:
        """Whether another try may help: never after a refusal that is about the request itself."""
        if self.connection:
            return self.kind == ""
        return self.status is not None and (self.status in (408, 429) or self.status >= 500)


class Broken(Exception):
    """A fault that an engine saw by itself, with no exception of its SDK."""

    def __init__(self, fault: Fault):
        super().__init__(fault.kind or "broken")
        self.fault = fault


def fault_of_answer(status: int, headers: Mapping[str, str], text: str) -> Fault:
    """The fault in an answer that is no success, whichever shape the service gives its errors."""
    kind = headers.get("content-type", "")
    if "html" in kind or text.lstrip()[:1] == "<":
        return Fault("a page of HTML came instead of an answer", status, None, _asked_wait_s(headers, ""), kind="page")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    code, message = _code_and_message(body)
    return Fault(message or "no reason given", status, code, _asked_wait_s(headers, message))


def fault_of_event(error) -> Fault:
    """The fault in an error object that came in the middle of a stream."""
    code, message = _code_and_message({"error": error})
    status = int(code) if code and re.fullmatch(r"[1-5]\d\d", code, re.ASCII) else None
    return Fault(message or "an error without a reason", status, code)


def fault_of_chunk(chunk: dict) -> Fault | None:
    """The fault that an event of a stream tells in place of a piece, in any of the shapes that servers give it."""
    if chunk.get("error"):
        return fault_of_event(chunk["error"])
    told = chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("detail")
    return fault_of_event(chunk) if told and not chunk.get("choices") else None


def _code_and_message(body) -> tuple[str | None, str]:
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None, str(body or "").strip()
    inner = body.get("error") or body
    if not isinstance(inner, dict):
        return None, str(inner)
    code = inner.get("code") or inner.get("type")
    message = inner.get("message") or inner.get("detail") or inner.get("title") or inner.get("error")
    message = message if isinstance(message, str) else json.dumps(message or body)
    return (None if code in (None, "about:blank") else str(code)), message


def _asked_wait_s(headers: Mapping[str, str], message: str) -> float | None:
    """The seconds that a service asks to wait: of its headers, else of its words."""
    milliseconds, asked = headers.get("retry-after-ms"), headers.get("retry-after")
    said = _WAIT.search(message)
    for text, unit in ((milliseconds, 0.001), (asked, 1.0), (said and said[1], 1.0)):
        try:
            wait_s = float(text) * unit
        except (TypeError, ValueError):
            continue
        if 0 <= wait_s < LONGEST_TOLD_S:
            return wait_s
    try:
        until = parsedate_to_datetime(asked or "")
        wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, wait_s), LONGEST_TOLD_S)


def fault_of_connection(problem: BaseException, url: str) -> Fault:
    """The fault behind an exception about a connection, read from the causes that it carries."""
    causes = list(_causes(problem))
    words = " ".join(f"{type(one).__name__} {one}" for one in causes)
    if "CERTIFICATE_VERIFY_FAILED" in words or "CertificateError" in words:
        return Fault("its certificate can't be verified", connection=True, kind="certificate")
    refused = any(isinstance(one, ConnectionRefusedError) for one in causes) or "refused" in words
    proxy = proxy_of(url)
    if proxy and ("roxy" in words or refused):
        return Fault(f"the proxy {proxy} refused, or can't be reached", connection=True, kind="proxy")
    if refused:
        here = is_loopback(url)
        return Fault(f"nothing listens at {url}", connection=True, kind="refused" if here else "")
    if "imeout" in words or "timed out" in words:
        return Fault("no answer came in time", connection=True)
    if "gaierror" in words or "NameResolution" in words or "getaddrinfo" in words:
        return Fault(f"the name {urlsplit(url).hostname} can't be found: no network, or no such host", connection=True)
    return Fault("the connection broke", connection=True)


def proxy_of(url: str) -> str:
    """The host and port of the proxy that this machine's settings put before a URL; empty where there is none."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return ""
    proxies = getproxies()
    return (proxies.get(parts.scheme) or proxies.get("all") or "").rpartition("://")[2].rpartition("@")[2].strip("/")


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that it was raised from; libraries keep those in several places."""
    todo, seen = [problem], set()
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        kept = (one.__cause__, one.__context__, getattr(one, "inner_exception", None), getattr(one, "reason", None))
        todo += [*kept, *one.args]


_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"  # no letter, or one that belongs to an escape
_KEYS = re.compile(_BEFORE + r"(?:nvapi-|ghp_|gh[osur]_|github_pat_|sk-)[\w*.\-]+|(?<=Bearer )\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Whom a request went to: for the words of a fault."""

    provider: Provider
    url: str
    model: str
    key: Key | None

    def scrubbed(self, text: str) -> str:
        """The text without this key and without anything that looks like one, cut to a readable length."""
        if self.key and len(self.key) >= 4:
            text = text.replace(self.key.reveal(), "[key]")
        text = " ".join(_KEYS.sub("[key]", text).split())
        return text if len(text) <= 400 else text[:400] + " ..."


def as_error(fault: Fault, place: Place, tries: int = 1) -> ProviderError:
    """The fault as the exception that a reader sees: what happened, at whom, and what to do next."""
    fault = replace(
        fault, message=place.scrubbed(fault.message).rstrip(". "), code=fault.code and place.scrubbed(fault.code)
    )
    text = f"{place.provider.name}{f' ({fault.status})' if fault.status else ''}: {fault.message}."
    return ProviderError(
        text, _advice(fault, place, tries), status=fault.status, code=fault.code, retry_after_s=fault.retry_after_s
    )


def _advice(fault: Fault, place: Place, tries: int) -> str:
    who = place.provider
    if fault.kind == "page":
        return f"A proxy, or a wrong URL? (asked: {place.url})"
    if fault.kind == "refused":
        return f"Start the server, or correct the URL. {who.go_to if who.status != 'retired' else ''}"
    if fault.kind == "certificate":
        return (
            "On a network with a proxy that opens TLS, point SSL_CERT_FILE to its certificate; don't switch checks off."
        )
    if fault.kind == "proxy":
        return "Look at HTTPS_PROXY and ALL_PROXY: the address may be wrong, or want a name and a password."
    if fault.connection:
        return f"Asked {place.url}, {_times(tries)}."
    if fault.code == "content_filter":
        return "The service's content filter refused the prompt: word it differently."
    if fault.status in (408, 429) and (fault.retry_after_s or 0) > LONGEST_WAIT_S:
        return f"A limit is used up: it resets {_when(fault.retry_after_s)}. Until then: another model, or a local one."
    advice = _ADVICE.get(fault.status)
    if advice:
        return advice(place, fault)
    if fault.passing:
        return f"Tried {_times(tries)}. Try again later, or go on locally: slmlab.load()."
    if fault.status and 300 <= fault.status < 400:
        return f"The address has moved, and a key is not sent after it: correct the URL (asked: {place.url})."
    return "The request is at fault, so trying again won't help." if fault.status else ""


def _key_advice(place: Place, fault: Fault) -> str:
    who, variables = place.provider, place.provider.key_names
    if place.key is None:
        needed = f"set {variables}, or give key='...'" if variables else "give key='...'"
        return f"No key was sent: {needed}. {f'Keys: {who.key_from}' if who.key_from else ''}"
    hint = _KEY_HINTS.get(who.id, "")
    again = f"Check {variables}; a new one: {who.key_from}" if variables else "Check the key that you gave."
    if who.status == "retired":  # no new key is given out
        again = who.go_to
    return f"The key was refused{' for this' if fault.status == 403 else ''}. {hint}{again}"


_KEY_HINTS = {
    "nvidia": "It lacks the scope 'Public API Endpoints', or your account may not call this model. ",
    "github-models": "A fine-grained token needs the permission models:read. ",
    "foundry": "A key belongs to one resource: key and endpoint have to come from the same one. ",
}


def _name_advice(place: Place, fault: Fault) -> str:
    if place.provider.id == "foundry" or fault.code == "DeploymentNotFound":
        return f"Foundry wants the name that you gave your deployment, not the model's; asked for {place.model!r}."
    if place.provider.id == "nvidia" and "for account" in fault.message:
        return f"{place.model!r} isn't there, or not enabled for your account. What is listed: .models()."
    if place.provider.id == "ollama":
        return f"Ollama answers with what it has fetched: ollama pull {place.model}. What it has: .models()."
    if not urlsplit(place.url).path:
        return f"Asked {place.url}, which names no path: most servers answer under /v1, as in {place.url}/v1"
    return f"Asked for {place.model!r} at {place.url}; .models() lists the names that the server knows."


def _gone_advice(place: Place, fault: Fault) -> str:
    who = place.provider
    name = who.name.removesuffix(" (practice)")
    date = f" {name} was retired on {who.status_date}." if who.status == "retired" else ""
    promised = ", whatever the message says" if "temporar" in fault.message.lower() else ""
    return f"Gone for good{promised}.{date} {who.go_to}"


_ADVICE = {
    401: _key_advice,
    403: _key_advice,
    404: _name_advice,
    410: _gone_advice,
    413: lambda place, fault: "Shorten the prompt or the conversation, or ask about one part at a time.",
}


def _times(tries: int) -> str:
    return "once" if tries == 1 else f"{tries} times"


def _when(wait_s: float) -> str:
    """A moment by the clock, and how long that is: 'at 05:30 tomorrow, in 14 h 30 min'."""
    now = datetime.now()
    until = now + timedelta(seconds=wait_s)
    days = (until.date() - now.date()).days
    day = "" if days == 0 else " tomorrow" if days == 1 else f" on {until:%Y-%m-%d}"
    hours, minutes = divmod(round(wait_s / 60), 60)
    return f"at {until:%H:%M}{day}, in {f'{hours:,} h ' if hours else ''}{minutes} min"


REASONS = {"length": "length", "max_tokens": "length", "content_filter": "filtered"}
UNREAD = ("reasoning_content", "reasoning", "tool_calls")  # what a model may send in place of text


class Arriving:
    """What has come so far: pieces counted, the reason and the usage once the server tells them."""

    def __init__(self):
        self.pieces = 0
        self.reason: str | None = None
        self.prompt_tokens: int | None = None
        self.new_tokens: int | None = None
        self.unread: set[str] = set()
        self._half = ""

    @property
    def fault(self) -> Fault | None:
        """A stream that stops before saying why was cut."""
        return None if self.reason else Fault("the stream stopped before its end", connection=True)

    def tokens(self, chunk: dict) -> Iterator[Token]:
        now = perf_counter()
        usage = chunk.get("usage") or {}
        self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
        self.new_tokens = _count(usage.get("completion_tokens"), self.new_tokens)
        for choice in chunk.get("choices") or []:
            if choice.get("index"):
                continue  # another answer to the same prompt, which nobody asked for
            said = (choice["delta"] if "delta" in choice else choice.get("message")) or {}
            self.unread.update(name for name in UNREAD if said.get(name))
            text = self._whole(_text(said.get("content") or said.get("refusal") or choice.get("text")))
            if text:
                yield from _pieces(text, (choice.get("logprobs") or {}).get("content") or [], now)
            reason = choice.get("finish_reason")
            if reason == "error":
                raise Broken(Fault("the service ended the answer with an error"))
            self.reason = REASONS.get(reason, "end") if reason else self.reason

    def _whole(self, text: str) -> str:
        """The text in whole characters: a server may cut one of two UTF-16 units between two pieces."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(content) -> str:
    """The text of a content, which some servers send as a list of parts."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    if content is not None and not isinstance(content, str):
        raise Broken(Fault(f"what came isn't OpenAI's protocol: its content is a {type(content).__name__}, no text"))
    return content or ""


def _count(told, before: int | None) -> int | None:
    """A number of tokens, where a server told one."""
    return told if type(told) is int and told >= 0 else before


def _pieces(text: str, told: list[dict], now: float) -> Iterator[Token]:
    """A chunk's text as one piece, or as its tokens where the server told each one's log-probability."""
    if len(told) > 1 and "".join(one["token"] for one in told) == text:
        for one in told:
            yield Token(None, one["token"], now, one.get("logprob"), _top(one))
    else:
        one = told[0] if len(told) == 1 else {}
        yield Token(None, text, now, one.get("logprob"), _top(one))


def _top(told: dict) -> tuple[TokenProbability, ...]:
    return tuple(TokenProbability(None, one["token"], exp(one["logprob"])) for one in told.get("top_logprobs") or [])


CHAT, COMPLETIONS = "chat/completions", "completions"
CONNECT_S = 10.0
INTERRUPTED = "interrupted"


class RemoteEngine(Engine):
    """A model that a service runs. Its tokens are the pieces that the server sends; the server's usage counts them."""

    def __init__(
        self, card: Card, provider: Provider, url: str, model: str, key: Key | None = None, timeout_s: float = 120.0
    ):
        super().__init__(card)
        self.provider, self.url, self.model = provider, url.rstrip("/"), model
        self._place = Place(provider, self.url, model, key)
        self._timeout_s = timeout_s
        self._usage = True
        self._closed = False

    # What an SDK defines

    def _open(self, path: str, body: dict) -> Iterator[dict]:
        """The chunks of the stream that answers this body, as dicts. Closing it closes the connection."""
        raise TypeError("an SDK's engine defines _open")

    def _listed(self) -> object:
        """What GET /models answers, parsed."""
        raise TypeError("an SDK's engine defines _listed")

    def _translate(self, problem: Exception) -> Fault | None:
        """The fault behind an exception of the SDK; None for one that isn't the SDK's."""
        raise TypeError("an SDK's engine defines _translate")

    # What a lesson uses

    def models(self) -> list[str]:
        """The names of the models that the server offers."""
        self._check_open()
        tries = 0
        while True:
            tries += 1
            try:
                return _names(self._listed())
            except (Exception, KeyboardInterrupt) as problem:  # whatever it is, its frames hold the key
                fault = self._fault_of(problem)
            self._wait_or_raise(fault, tries)

    def complete(self, text: str, **settings) -> Reply:
        """Go on writing a text as it stands, with no chat template, where the server offers that."""
        sampling = as_sampling(settings)
        if not isinstance(text, str) or not text:
            raise BadRequest("The prompt is empty. Give the model some text to go on from.")
        if sampling.logprobs:
            raise BadRequest("logprobs come with .ask() here; for a text as it stands ask a local model.")
        body = self._settings(sampling, None) | {"prompt": text}
        return self._reply(COMPLETIONS, body, None)

    def close(self) -> None:
        self._closed = True

    def __repr__(self):
        return f"{self.name} · {self.engine} · {self.provider.name} at {self.url}"

    # The road

    def _answer(self, messages: list[Message], sampling: Sampling, scorer, on_end) -> Reply:
        body = self._settings(sampling, scorer) | {"messages": [self._wired(one) for one in messages]}
        return self._reply(CHAT, body, on_end)

    def _reply(self, path: str, body: dict, on_end) -> Reply:
        self._check_open()
        return Reply(lambda: self._stream(path, body), self.name, on_end)

    def _check_open(self) -> None:
        if self._closed:
            raise SlmLabError("This connection was closed. Open another: slmlab.connect(...)")

    def _settings(self, sampling: Sampling, scorer) -> dict:
        """The settings as the protocol writes them; what it has no word for is refused, not dropped."""
        foreign = [name for name, plain in (("beams", 1), ("top_k", 0), ("repetition_penalty", 1.0))
                   if getattr(sampling, name) != plain]  # fmt: skip
        if scorer is not None:
            foreign.append("scorer")
        if foreign:
            raise BadRequest(
                f"{foreign[0]} isn't part of OpenAI's protocol, so a service can't be asked for it. "
                "A model of this machine can: slmlab.load()."
            )
        body = {"model": self.model, "max_tokens": sampling.max_tokens, "temperature": sampling.temperature,
                "top_p": sampling.top_p, "stream": True}  # fmt: skip
        body |= {"seed": sampling.seed} if sampling.seed is not None else {}
        body |= {"stop": list(sampling.stop)} if sampling.stop else {}
        body |= {"logprobs": True} if sampling.logprobs else {}
        return body | ({"top_logprobs": sampling.top_logprobs} if sampling.top_logprobs else {})

    def _wired(self, message: Message) -> dict:
        """A message as this provider takes it, pictures included."""
        if not message.images:
            return {"role": message.role, "content": message.content}
        most = self.provider.image_characters
        for picture in message.images:
            if most and len(picture.base64) >= most:
                raise BadRequest(
                    f"The picture has {len(picture.base64):,} characters in base64 and {self.provider.name} takes "
                    f"fewer than {most:,}. Make it smaller: picture.within({most:_})"
                )
        if self.provider.image_form == "img-tag":
            tags = [f'<img src="{picture.data_url}" />' for picture in message.images]
            return {"role": message.role, "content": " ".join([message.content, *tags])}
        pictures = [{"type": "image_url", "image_url": {"url": picture.data_url}} for picture in message.images]
        return {"role": message.role, "content": [{"type": "text", "text": message.content}, *pictures]}

    def _stream(self, path: str, body: dict) -> Iterator[Event]:
        """The primitive: a Start when the request is sent, a Token for each piece, an End. Retried before a piece."""
        tries = 0
        while True:
            self._check_open()
            tries += 1
            answer, fault, began = Arriving(), None, perf_counter()
            options = {"stream_options": {"include_usage": True}} if self._usage else {}
            try:
                with closing(self._open(path, body | options)) as chunks:
                    for chunk in chunks:
                        for token in answer.tokens(chunk):
                            if answer.pieces == 0:
                                yield Start(began)
                            answer.pieces += 1
                            yield token
            except (Exception, KeyboardInterrupt) as problem:  # its frames hold the key: only its words go on
                fault = self._fault_of(problem)
            if fault and fault.kind == INTERRUPTED:
                raise KeyboardInterrupt
            fault = fault or answer.fault
            if fault is None or answer.pieces or answer.reason:
                yield from self._ending(answer, fault, began)
                return
            if options and _about_options(fault):
                self._usage, tries = False, tries - 1
            else:
                self._wait_or_raise(fault, tries)

    def _ending(self, answer: Arriving, fault: Fault | None, began: float) -> Iterator[Event]:
        if answer.pieces == 0:
            yield Start(began)
        words, reason = None, answer.reason
        if fault and not answer.reason:
            words = f"{self.provider.name} broke off: {fault.message.rstrip('.')}. What had arrived is kept."
            reason = "incomplete"
        elif answer.pieces == 0 and answer.unread:
            more = " Raise max_tokens: it was still thinking." if reason == "length" else ""
            words = f"{self.provider.name} sent {' and '.join(sorted(answer.unread))} and no text.{more}"
        if words:
            _warn(words)
        yield End(perf_counter(), reason, answer.prompt_tokens, answer.new_tokens, words)

    def _fault_of(self, problem: BaseException) -> Fault:
        """The fault behind an exception, scrubbed: from here on nothing holds a key."""
        if isinstance(problem, KeyboardInterrupt):
            return Fault("interrupted", kind=INTERRUPTED)
        fault = problem.fault if isinstance(problem, Broken) else self._translate(problem)
        if fault is None:
            fault = Fault(f"what came isn't OpenAI's protocol ({type(problem).__name__}: {problem})")
        scrubbed = self._place.scrubbed
        return Fault(scrubbed(fault.message), fault.status, fault.code and scrubbed(fault.code), fault.retry_after_s,
                     fault.connection, fault.kind)  # fmt: skip

    def _wait_or_raise(self, fault: Fault, tries: int) -> None:
        """The one retry rule: a short pause when another try may help, else the fault as an error."""
        if fault.kind == INTERRUPTED:
            raise KeyboardInterrupt
        wait_s = fault.retry_after_s
        if not fault.passing or tries >= TRIES or (wait_s or 0) > LONGEST_WAIT_S:
            raise as_error(fault, self._place, tries)
        if wait_s is None:
            wait_s = 0.5 * tries * random.uniform(0.8, 1.0)
        if wait_s > 1:
            print(f"{self.provider.name} asks to wait {wait_s:.0f} s; then try {tries + 1} of {TRIES}.")
        sleep(wait_s)


def _warn(words: str) -> None:
    """Warn at the line that read the answer, every time: the same cell may be run again."""
    frame, inner = sys._getframe(1), str(Path(__file__).parents[1]) + os.sep
    while frame.f_back and frame.f_code.co_filename.startswith(inner):
        frame = frame.f_back
    warnings.warn_explicit(words, IncompleteAnswer, frame.f_code.co_filename, frame.f_lineno)


def _about_options(fault: Fault) -> bool:
    return fault.status in (400, 422) and ("stream_options" in fault.message or "include_usage" in fault.message)


def _names(listed) -> list[str]:
    entries = listed.get("data", listed.get("models")) if isinstance(listed, dict) else listed
    if not isinstance(entries, list):
        raise Broken(Fault("its list of models has a shape that isn't known"))
    return [str(one.get("id") or one.get("name")) if isinstance(one, dict) else str(one) for one in entries]


class OpenAIEngine(RemoteEngine):
    """A model behind OpenAI's protocol, through the openai SDK."""

    engine = "openai"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        try:
            import openai
        except ImportError as fault:
            raise NotHere('The openai package is missing. Install it: pip install "openai>=3.52"') from fault
        self._sdk = openai
        limits = openai.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s))
        # a proxy of the environment can't reach this machine's own servers, and no key follows a redirect
        try:
            http = openai.DefaultHttpxClient(
                trust_env=not is_loopback(self.url), follow_redirects=False, timeout=limits
            )
        except Exception as problem:  # of many kinds, none of which says where the setting stands
            raise SlmLabError(
                f"This machine's settings for the network can't be used ({type(problem).__name__}). Look at the "
                "variables HTTPS_PROXY and ALL_PROXY (such as http://host:3128) and SSL_CERT_FILE (a file that is "
                "there), correct or unset them, and restart the lab."
            ) from problem
        key = self._place.key
        self._client = openai.OpenAI(
            base_url=self.url, api_key=key.reveal() if key else "none", max_retries=0, timeout=limits, http_client=http,
            organization="", project="",
        )  # fmt: skip

    def _open(self, path: str, body: dict) -> Iterator[dict]:
        resource = self._client.chat.completions if path == CHAT else self._client.completions
        # the SDK's own reader of streams knows fewer forms of them, and says less about what is none
        with resource.with_streaming_response.create(**body) as response:
            yield from events(response.iter_bytes(), response.headers, self._timeout_s)

    def _listed(self) -> object:
        response = self._client.models.with_raw_response.list()
        return read_list(response.text, response.headers)

    def _translate(self, problem: Exception) -> Fault | None:
        if isinstance(problem, self._sdk.APIStatusError):
            return fault_of_answer(problem.status_code, problem.response.headers, _text_openai(problem.response))
        raw = type(problem).__module__.startswith("httpx")  # a body that breaks off leaves the SDK as it came
        if raw or isinstance(problem, self._sdk.APIConnectionError):
            return fault_of_connection(problem, self.url)
        return None

    def close(self) -> None:
        super().close()
        self._client.close()


def _text_openai(response) -> str:
    try:
        return response.text
    except RuntimeError:  # a body that was never read
        return ""

"""What the engines over a network share: one request, one retry rule, one stream of events, and no key ever shown.

An SDK gives the chunks of a stream and translates its exceptions; nothing here knows which SDK it is.
"""

import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import perf_counter, sleep

from slmlab.engines.advice import Place, as_error
from slmlab.engines.arriving import Arriving
from slmlab.engines.base import Engine, as_sampling
from slmlab.engines.faults import LONGEST_WAIT_S, TRIES, Broken, Fault
from slmlab.errors import BadRequest, IncompleteAnswer, SlmLabError
from slmlab.model_card import Card
from slmlab.providers import Key, Provider
from slmlab.records import End, Event, Message, Sampling, Start
from slmlab.reply import Reply

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

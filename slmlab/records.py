"""What travels the road: Message and Sampling in, Start, Token and End out; a Reply that arrives while it is read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from slmlab.errors import BadRequest, in_range


@dataclass(frozen=True)
class Message:
    role: str
    content: str
    images: tuple = ()  # of slmlab.pictures.Picture

    def __post_init__(self):
        if self.role not in ("system", "user", "assistant"):
            raise BadRequest(f"Unknown role {self.role!r}. A message's role is one of: system, user, assistant.")
        if not isinstance(self.content, str):
            raise BadRequest(f"A message's content is text, not {type(self.content).__name__}.")
        object.__setattr__(self, "images", tuple(self.images))


def _limited(default, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"limits": (low, high, meaning)})


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The default is greedy, so that answers repeat; a service has its own defaults."""

    max_tokens: int = _limited(256, 1, 1_000_000, "how many tokens the answer may have, 1 or more")
    temperature: float = _limited(0.0, 0.0, 5.0, "0 for greedy, about 0.7 for lively, at most 5")
    top_p: float = _limited(1.0, 1e-6, 1.0, "above 0, and 1 keeps every token")
    top_k: int = _limited(0, 0, 1_000_000, "0 keeps every token")
    repetition_penalty: float = _limited(1.0, 0.1, 10.0, "1 changes nothing, 1.1 discourages repeats")
    frequency_penalty: float = _limited(0.0, -2.0, 2.0, "0 changes nothing, 2 discourages what was written often")
    presence_penalty: float = _limited(0.0, -2.0, 2.0, "0 changes nothing, 2 discourages what was written at all")
    beams: int = _limited(1, 1, 16, "1 for no beam search, at most 16")
    seed: int | None = _limited(None, 0, 2**31 - 1, "a whole number, or None for a new one each time")
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = _limited(0, 0, 20, "how many of the likeliest tokens to tell at each step, at most 20")
    scorer: Callable | None = None  # (ids so far, logits) -> scores to choose by
    schema: dict | type | None = None  # a JSON schema, or a class of pydantic's: the answer is JSON that fits it
    grammar: str | None = None  # a grammar in Lark's form: the answer is a text of it
    asked: tuple[str, ...] = field(default=(), compare=False, repr=False)  # the names that the caller gave

    def __post_init__(self):
        for one in fields(self):
            if "limits" in one.metadata and (one.name, self.seed) != ("seed", None):
                object.__setattr__(self, one.name, in_range(one.name, getattr(self, one.name), *one.metadata["limits"]))
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()))
        if "" in self.stop:
            raise BadRequest("stop takes texts that end the answer, and an empty one would end it before it begins.")
        if self.schema is not None and self.grammar is not None:
            raise BadRequest("An answer follows one form: give a schema or a grammar.")
        schema = self.schema.model_json_schema() if hasattr(self.schema, "model_json_schema") else self.schema
        if schema is not None and not isinstance(schema, dict):
            raise BadRequest(f"schema takes a JSON schema, such as {{'type': 'object'}}, not {type(schema).__name__}.")
        object.__setattr__(self, "schema", schema)
        steered = self.scorer or self.schema is not None or self.grammar is not None
        if self.beams > 1 and (self.temperature > 0 or self.logprobs or steered):
            raise BadRequest("Beam search never samples, tells no logprobs and takes no scorer or form: set beams=1.")
        if self.top_logprobs and not self.logprobs:
            raise BadRequest("top_logprobs are told beside each token's own: set logprobs=True as well.")


@dataclass(frozen=True)
class Start:
    """The engine took the prompt; `reused_tokens` of it were still in its KV cache."""

    time_s: float
    prompt_tokens: int | None = None
    reused_tokens: int = 0
    streamed: bool = True  # a beam search gives all its tokens at once, at the end


@dataclass(frozen=True)
class TokenProbability:
    id: int | None  # a remote server tells none
    text: str
    probability: float


@dataclass(frozen=True)
class Token:
    """A token, stamped once; empty while a character is unfinished. With no id it is a piece of a server's text."""

    id: int | None
    text: str
    time_s: float
    logprob: float | None = None
    top: tuple[TokenProbability, ...] = ()

    def __str__(self):
        return self.text


@dataclass(frozen=True)
class End:
    """The engine is done. `reason` is 'end' (the model stopped), 'length' (max_tokens), 'stop' (a stop text),
    'filtered' (a service's content filter) or 'incomplete' (the connection broke; `fault` says how)."""

    time_s: float
    reason: str
    prompt_tokens: int | None = None  # as a remote server counted
    new_tokens: int | None = None
    fault: str | None = None


Event = Start | Token | End


@dataclass(frozen=True)
class Metrics:
    """What a reply cost. What is unknown is None, never 0."""

    prompt_tokens: int | None = None
    new_tokens: int | None = None
    ttft_s: float | None = None
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    total_s: float | None = None

    def __str__(self):
        known = {name: value for name, value in asdict(self).items() if value is not None}
        shown = {name: f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" for name, value in known.items()}
        return " · ".join(f"{name} {value}" for name, value in shown.items())


class Reply:
    """An answer that arrives while you read it: iterate it to stream `Token`s, take `.text` for all of it at once.
    Leaving a loop early ends the answer; what was read stays. An answer that failed fails whenever it is read.
    `finish_reason` is that of End, 'interrupted' when the reader left, and None until then."""

    def __init__(self, open_stream: Callable[[], Iterator[Event]], model: str, on_end: Callable | None = None):
        self.model = model
        self._open_stream, self._on_end = open_stream, on_end
        self.start: Start | None = None
        self.end: End | None = None
        self.finish_reason: str | None = None
        self._tokens: list[Token] = []
        self._failure: Exception | None = None
        self._unread = threading.Lock()  # taken by the first reader, the one that runs the engine
        self._reader: int | None = None  # the thread in which it reads
        self._over = threading.Event()  # a reader in another thread waits for it, or a part would look like all

    def __iter__(self) -> Iterator[Token]:
        if self._unread.acquire(blocking=False):
            yield from self._read()
            return
        if self._reader != threading.get_ident():
            self._over.wait()
        yield from list(self._tokens)
        if self._failure:  # an answer that failed is no empty one, however often it is read
            raise self._failure

    def _read(self) -> Iterator[Token]:
        self._reader = threading.get_ident()
        try:
            with closing(self._open_stream()) as events:
                for event in events:
                    if isinstance(event, Token):
                        self._tokens.append(event)
                        yield event
                        # a server may take each token in another thread of its pool
                        self._reader = threading.get_ident()
                    elif isinstance(event, Start):
                        self.start = event
                    else:
                        self.end, self.finish_reason = event, event.reason
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            self.finish_reason = self.finish_reason or "interrupted"
            self._over.set()
            if self._on_end:
                self._on_end(self)

    @property
    def tokens(self) -> list[Token]:
        """All tokens; inside a loop over this reply, those that have arrived."""
        return list(self)

    @property
    def text(self) -> str:
        """The whole answer; inside a loop over this reply, what has arrived so far."""
        return "".join(token.text for token in self)

    @property
    def so_far(self) -> str:
        """The text that has arrived, without waiting for more: also of an answer that failed."""
        return "".join(token.text for token in self._tokens)

    def show(self) -> None:
        for token in self:
            print(token.text, end="", flush=True)
        print(f"\n[{self.end.fault}]" if self.end and self.end.fault else "")

    _ipython_display_ = show  # a notebook's cell may end in the reply itself

    @property
    def metrics(self) -> Metrics:
        """What the answer cost, from the times stamped at the engine's border."""
        tokens, start, end = self.tokens, self.start, self.end
        if not start or not (tokens or end):  # the reader left before anything came
            return Metrics()
        prompt_tokens, new_tokens = start.prompt_tokens, len(tokens)
        if any(token.id is None for token in tokens) or (end and end.new_tokens is not None):
            prompt_tokens = end and end.prompt_tokens  # pieces of text: the server counted their tokens, or nobody
            new_tokens = end and end.new_tokens
        ttft_s = tokens[0].time_s - start.time_s if tokens else None
        decode_s = tokens[-1].time_s - tokens[0].time_s if tokens and start.streamed else None
        prefilled = start.prompt_tokens - start.reused_tokens if start.prompt_tokens and start.streamed else None
        prefill_rate = prefilled / ttft_s if prefilled and ttft_s else None
        decode_rate = (new_tokens - 1) / decode_s if new_tokens and decode_s else None
        total_s = (end or tokens[-1]).time_s - start.time_s
        return Metrics(prompt_tokens, new_tokens, ttft_s, prefill_rate, decode_rate, total_s)

    def __repr__(self):
        if self.finish_reason is None and not self._tokens:
            return "Reply(not read yet: .show() streams it, .text gives all of it)"
        return f"Reply({self.so_far!r}, {self.finish_reason or 'running'})"

"""An answer that arrives while it is read, and its figures.

Built on the events that an engine yields; knows nothing about which engine, networks or notebooks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from numbers import Integral, Real

from slmlab.errors import BadRequest

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str
    images: tuple = ()  # of slmlab.pictures.Picture

    def __post_init__(self):
        if self.role not in ROLES:
            raise BadRequest(f"Unknown role {self.role!r}. A message's role is one of: {', '.join(ROLES)}.")
        if not isinstance(self.content, str):
            raise BadRequest(f"A message's content is text, not {type(self.content).__name__}.")
        object.__setattr__(self, "images", tuple(self.images))


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The default is greedy: the same question gives the same answer."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    beams: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0

    def __post_init__(self):
        for name, low, high, meaning in _LIMITS:
            object.__setattr__(self, name, _checked_number(name, getattr(self, name), low, high, meaning))
        if self.seed is not None:
            meaning = "a whole number, or None for a new one each time"
            object.__setattr__(self, "seed", _checked_number("seed", self.seed, 0, 2**31 - 1, meaning))
        if not isinstance(self.stop, str | list | tuple) and self.stop is not None:
            raise BadRequest(f"stop={self.stop!r} is no text and no list of texts.")
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stops)
        if not isinstance(self.logprobs, bool):
            raise BadRequest(f"logprobs={self.logprobs!r} is out of range: True or False.")
        if any(not isinstance(text, str) or not text for text in self.stop):
            raise BadRequest("stop takes texts that end the answer, and an empty one would end it before it begins.")
        if self.beams > 1 and self.temperature > 0:
            raise BadRequest(
                "Beam search follows the likeliest sequences and never samples: set temperature=0 or beams=1."
            )
        if self.top_logprobs and not self.logprobs:
            raise BadRequest("top_logprobs are told beside each token's own: set logprobs=True as well.")
        if self.beams > 1 and self.logprobs:
            raise BadRequest(
                "Beam search gives no log-probabilities on the way: set beams=1, or ask .logprobs(answer)."
            )

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


# name, lowest, highest, what a good value means
_LIMITS = (
    ("max_tokens", 1, 1_000_000, "how many tokens the answer may have, 1 or more"),
    ("temperature", 0.0, 5.0, "0 for greedy, about 0.7 for lively, at most 5"),
    ("top_p", 1e-6, 1.0, "above 0, and 1 keeps every token"),
    ("top_k", 0, 1_000_000, "0 keeps every token"),
    ("repetition_penalty", 0.1, 10.0, "1 changes nothing, 1.1 discourages repeats"),
    ("beams", 1, 16, "1 for no beam search, at most 16"),
    ("top_logprobs", 0, 20, "how many of the likeliest tokens to tell at each step, at most 20"),
)


def _checked_number(name, value, low, high, meaning) -> int | float:
    """The value as a plain int or float; NumPy's numbers are welcome."""
    whole = isinstance(low, int)
    right_kind = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not right_kind or not low <= value <= high:  # NaN is neither
        raise BadRequest(f"{name}={value!r} is out of range: {meaning}.")
    return int(value) if whole else float(value)


@dataclass(frozen=True)
class Start:
    """The engine took the prompt. `reused_tokens` of it were still in its KV cache.

    Not `streamed` means that the tokens come all at once at the end, as a beam search gives them.
    """

    time_s: float
    prompt_tokens: int | None = None
    reused_tokens: int = 0
    streamed: bool = True


@dataclass(frozen=True)
class TokenProbability:
    """A token that could come next, and how likely the model holds it. A remote server tells no id."""

    id: int | None
    text: str
    probability: float


@dataclass(frozen=True)
class Token:
    """One token: an id that the engine counted, stamped once. Its text is empty while a character is unfinished.

    With no id it is a piece of text as a remote server sent it: of how many tokens, only the server knows.
    """

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
    'filtered' (a service's content filter), 'incomplete' (the connection broke; `fault` says how).

    A remote server tells only now how many tokens it read and wrote.
    """

    time_s: float
    reason: str
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Metrics:
    """What a reply cost. What is unknown is None, never 0."""

    prompt_tokens: int | None
    new_tokens: int | None
    ttft_s: float | None
    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    total_s: float | None

    def __str__(self):
        known = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) is not None]
        return " · ".join(
            f"{name} {value:,.3g}" if isinstance(value, float) else f"{name} {value:,}" for name, value in known
        )


Event = Start | Token | End


class Reply:
    """An answer that arrives while you read it.

    Iterate it to stream `Token`s (print one and you print its text), take `.text` for all of it at once, `.show()` to
    watch it appear. Leaving a loop early ends the answer and frees what the engine held; what was read stays readable,
    and iterating again replays it. An answer that failed fails whenever it is read; `.so_far` has what came before.
    `finish_reason` is None until then, and afterwards that of End, or 'interrupted'
    when the reader left.
    """

    def __init__(
        self, open_stream: Callable[[], Iterator[Event]], model: str, on_end: Callable[["Reply"], None] | None = None
    ):
        self.model = model
        self._tokens: list[Token] = []
        self.start: Start | None = None
        self.end: End | None = None
        self.finish_reason: str | None = None
        self._open_stream = open_stream
        self._on_end = on_end
        self._reading = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[Token]:
        yield from self._tokens
        if self._failure:  # an answer that failed is no empty one, however often it is read
            raise self._failure
        if not self._reading and self.finish_reason is None:
            yield from self._read()

    def _read(self) -> Iterator[Token]:
        self._reading = True
        events = self._open_stream()
        try:
            for event in events:
                if isinstance(event, Token):
                    self._tokens.append(event)
                    yield event
                elif isinstance(event, Start):
                    self.start = event
                else:
                    self.finish_reason, self.end = event.reason, event
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            events.close()
            self._reading = False
            self.finish_reason = self.finish_reason or "interrupted"
            if self._on_end:
                self._on_end(self)

    def _drain(self):
        for _ in self:
            pass

    @property
    def tokens(self) -> list[Token]:
        """All tokens; inside a loop over this reply, those that have arrived so far."""
        self._drain()
        return list(self._tokens)

    @property
    def text(self) -> str:
        """The whole answer; inside a loop over this reply, what has arrived so far."""
        return "".join(token.text for token in self.tokens)

    def show(self) -> None:
        """Print the answer as it arrives."""
        for token in self:
            print(token.text, end="", flush=True)
        print(f"\n[{self.end.fault}]" if self.end and self.end.fault else "")

    @property
    def so_far(self) -> str:
        """The text that has arrived, without waiting for more: also of an answer that failed."""
        return "".join(token.text for token in self._tokens)

    @property
    def metrics(self) -> Metrics:
        """What the answer cost, from the times stamped at the engine's border."""
        tokens = self.tokens
        return measure(self.start, tokens, self.end)

    def __repr__(self):
        if self.finish_reason is None and not self._tokens:
            return "Reply(not read yet: .show() streams it, .text gives all of it)"
        count = _count(self._tokens, self.end)
        size = "unknown length" if count is None else f"{count} tokens"
        return f"Reply({self.so_far!r}, {size}, {self.finish_reason or 'running'})"


def _count(tokens: list[Token], end: End | None) -> int | None:
    """How many tokens an answer has: as the server counted, else one for each id that the engine gave."""
    if end and end.new_tokens is not None:
        return end.new_tokens
    return None if any(token.id is None for token in tokens) else len(tokens)


def measure(start: Start | None, tokens: list[Token], end: End | None) -> Metrics:
    """The figures of one reply: time to first token from the start, decode rate over the tokens after the first."""
    ttft_s = tokens[0].time_s - start.time_s if start and tokens else None
    streamed = start is None or start.streamed
    decode_s = tokens[-1].time_s - tokens[0].time_s if len(tokens) > 1 and streamed else None
    fresh = start.prompt_tokens - start.reused_tokens if start and start.prompt_tokens and streamed else None
    last_s = end.time_s if end else tokens[-1].time_s if tokens else None
    count = _count(tokens, end)
    return Metrics(
        prompt_tokens=end.prompt_tokens if end and end.prompt_tokens is not None else start and start.prompt_tokens,
        new_tokens=count,
        ttft_s=ttft_s,
        prefill_tokens_per_s=fresh / ttft_s if fresh and ttft_s else None,
        decode_tokens_per_s=(count - 1) / decode_s if decode_s and count else None,
        total_s=last_s - start.time_s if start and last_s is not None else None,
    )

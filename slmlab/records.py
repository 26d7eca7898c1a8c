"""An answer that arrives while it is read, and its figures.

Built on the events that an engine yields; knows nothing about which engine, networks or notebooks.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from numbers import Real
from threading import Condition, get_ident

from slmlab.errors import BadRequest, whole

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
        limits = _LIMITS if self.seed is None else (*_LIMITS, _SEED)
        for name, low, high, meaning in limits:
            check = whole if isinstance(low, int) else _real
            object.__setattr__(self, name, check(name, getattr(self, name), low, high, meaning))
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or ()
        if not isinstance(stops, list | tuple) or not all(isinstance(text, str) and text for text in stops):
            raise BadRequest("stop takes texts that end the answer, and an empty one would end it before it begins.")
        object.__setattr__(self, "stop", tuple(stops))
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
_SEED = ("seed", 0, 2**31 - 1, "a whole number, or None for a new one each time")


def _real(name: str, value: object, low: float, high: float, meaning: str) -> float:
    if not isinstance(value, Real) or not low <= value <= high:  # NaN is neither
        raise BadRequest(f"{name}={value!r} is out of range: {meaning}.")
    return float(value)


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
        known = {name: value for name, value in asdict(self).items() if value is not None}
        shown = {name: f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" for name, value in known.items()}
        return " · ".join(f"{name} {value}" for name, value in shown.items())


Event = Start | Token | End


class Reply:
    """An answer that arrives while you read it.

    Iterate it to stream `Token`s, take `.text` for all of it at once, `.show()` to watch it appear. Leaving a loop
    early ends the answer and frees what the engine held; what was read stays readable, and iterating again replays it.
    An answer that failed fails whenever it is read; `.so_far` has what came before. `finish_reason` is None until then,
    and afterwards that of End, or 'interrupted' when the reader left.
    """

    def __init__(self, open_stream: Callable[[], Iterator[Event]], model: str, on_end: Callable | None = None):
        self.model = model
        self.start: Start | None = None
        self.end: End | None = None
        self.finish_reason: str | None = None
        self._open_stream, self._on_end = open_stream, on_end
        self._tokens: list[Token] = []
        self._failure: Exception | None = None
        self._reader: int | None = None  # the first thread that reads: it alone runs the engine, others follow it
        self._over = False
        self._news = Condition()  # a token arrived, or the answer is over

    def __iter__(self) -> Iterator[Token]:
        with self._news:
            first = self._reader is None
            self._reader = get_ident() if first else self._reader
        yield from self._read() if first else self._follow()

    def _read(self) -> Iterator[Token]:
        try:
            with closing(self._open_stream()) as events:
                for event in events:
                    if isinstance(event, Token):
                        self._tell(event)
                        yield event
                    elif isinstance(event, Start):
                        self.start = event
                    else:
                        self.finish_reason, self.end = event.reason, event
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            self.finish_reason = self.finish_reason or "interrupted"
            self._over = True
            self._tell()
            if self._on_end:
                self._on_end(self)

    def _tell(self, *tokens: Token):
        with self._news:
            self._reader = get_ident()  # a server may read each token in another thread of its pool
            self._tokens.extend(tokens)
            self._news.notify_all()

    def _follow(self) -> Iterator[Token]:
        """What has arrived; in another thread than the reader's, also what still comes."""
        for place in count():
            with self._news:
                while place == len(self._tokens) and not self._over and self._reader != get_ident():
                    self._news.wait()
            if place == len(self._tokens):
                break
            yield self._tokens[place]
        if self._failure:  # an answer that failed is no empty one, however often it is read
            raise self._failure

    @property
    def tokens(self) -> list[Token]:
        """All tokens; inside a loop over this reply, those that have arrived so far."""
        return list(self)

    @property
    def text(self) -> str:
        """The whole answer; inside a loop over this reply, what has arrived so far."""
        return "".join(token.text for token in self.tokens)

    def show(self) -> None:
        """Print the answer as it arrives."""
        for token in self:
            print(token.text, end="", flush=True)
        print(f"\n[{self.end.fault}]" if self.end and self.end.fault else "")

    _ipython_display_ = show  # a notebook's cell may end in the reply itself

    @property
    def so_far(self) -> str:
        """The text that has arrived, without waiting for more: also of an answer that failed."""
        return "".join(token.text for token in self._tokens)

    @property
    def metrics(self) -> Metrics:
        """What the answer cost, from the times stamped at the engine's border."""
        tokens, start, end = self.tokens, self.start, self.end
        if not start or not (tokens or end):  # the reader left before anything came
            return Metrics(*[None] * 6)
        ttft_s = tokens[0].time_s - start.time_s if tokens else None
        decode_s = tokens[-1].time_s - tokens[0].time_s if tokens and start.streamed else None
        prefilled = start.prompt_tokens - start.reused_tokens if start.prompt_tokens and start.streamed else None
        told = end.prompt_tokens if end else None
        new_tokens = self._count()
        return Metrics(
            prompt_tokens=start.prompt_tokens if told is None else told,
            new_tokens=new_tokens,
            ttft_s=ttft_s,
            prefill_tokens_per_s=prefilled / ttft_s if prefilled and ttft_s else None,
            decode_tokens_per_s=(new_tokens - 1) / decode_s if new_tokens and decode_s else None,
            total_s=(end or tokens[-1]).time_s - start.time_s,
        )

    def _count(self) -> int | None:
        """How many tokens have arrived: as the server counted, else one for each id that the engine gave."""
        if self.end and self.end.new_tokens is not None:
            return self.end.new_tokens
        return None if any(token.id is None for token in self._tokens) else len(self._tokens)

    def __repr__(self):
        if self.finish_reason is None and not self._tokens:
            return "Reply(not read yet: .show() streams it, .text gives all of it)"
        tokens = self._count()
        size = "unknown length" if tokens is None else f"{tokens} tokens"
        return f"Reply({self.so_far!r}, {size}, {self.finish_reason or 'running'})"

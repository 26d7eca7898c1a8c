"""An answer that arrives while it is read, and its figures.

Built on the events that an engine yields; knows nothing about which engine, networks or notebooks.
"""

from collections.abc import Callable, Iterator

from slmlab.records import End, Event, Metrics, Start, Token


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

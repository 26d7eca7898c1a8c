"""Where requests wait their turn: as many run as the engine has seats, some wait, and the next is sent away kindly.

Turns an engine's answer, which a thread reads, into events that an event loop can await. Knows nothing about HTTP.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

from endpoint.openai_protocol import Refusal
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest, SlmLabError
from slmlab.records import End, Reply, Token

WAITING = 32
LONGEST_PATIENCE_S = 60  # what clients of this course wait at most; by then a seat is free
LOOK_S = 0.5  # how often one that waits is looked after: has its client gone?


@dataclass(frozen=True)
class Accepted:
    """The engine took the prompt: how many tokens it has."""

    prompt_tokens: int


class Desk:
    """An engine, its seats, and the queue before them."""

    def __init__(self, engine: Engine, waiting: int = WAITING):
        if waiting < 0:
            raise BadRequest(f"waiting={waiting} is out of range: how many requests may wait for a seat, 0 or more.")
        self.engine = engine
        self.seats = engine.seats
        self.waiting = waiting
        self.inside = 0  # requests that run or wait
        self.running = 0
        self._answer_s = 1.0  # how long an answer takes here, lately
        self._stopping = False
        self._pool = ThreadPoolExecutor(self.seats, thread_name_prefix="slmlab-answer")
        self._count = threading.Lock()

    @property
    def queued(self) -> int:
        return max(0, self.inside - self.running)

    async def answer(self, ask: Callable[[], Reply], is_gone: Callable) -> AsyncIterator[Accepted | Token | End]:
        """The events of one answer. Leaving early, or being cancelled, stops the engine at its next token; so does a
        client that has gone while it waited for an event."""
        if self.inside >= self.seats + self.waiting:
            patience = min(max(1, round(self._answer_s * self.inside / self.seats)), LONGEST_PATIENCE_S)
            raise Refusal(429, "rate_limit_exceeded", f"{self.inside} requests are being answered or wait. "
                          f"Try again in {patience} s.", headers={"Retry-After": str(patience)})  # fmt: skip
        loop, events, gone = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()

        def tell(event) -> None:
            if not gone.is_set():
                loop.call_soon_threadsafe(events.put_nowait, event)

        self.inside += 1
        work = loop.run_in_executor(self._pool, self._work, ask, tell, gone)
        try:
            while True:
                event = await self._next(events, is_gone)
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, End):
                    return
        finally:
            gone.set()
            self.inside -= 1
            work.cancel()  # one that still waits for a thread never starts

    def _work(self, ask: Callable[[], Reply], tell: Callable, gone: threading.Event) -> None:
        if gone.is_set():
            return
        with self._count:
            self.running += 1
        began = time.perf_counter()
        ending: End | Refusal | None = None
        try:
            with self.engine.until(gone):
                reply = ask()
                for place, token in enumerate(reply):
                    if gone.is_set():
                        return
                    if place == 0:
                        tell(Accepted(reply.start.prompt_tokens or 0))
                    tell(token)
            if not reply.tokens:
                tell(Accepted(reply.start.prompt_tokens or 0))
            ending = reply.end
            self._answer_s = 0.8 * self._answer_s + 0.2 * (time.perf_counter() - began)
        except BadRequest as fault:
            code = "context_length_exceeded" if isinstance(fault, BadRequest) else "invalid_request"
            ending = Refusal(400, code, str(fault), param="messages")
        except SlmLabError as fault:
            ending = Refusal(500, "server_error", str(fault))
        except Exception as fault:  # whatever fails in one answer must not end the server, and is told to its asker
            ending = Refusal(500, "server_error", f"The answer failed: {type(fault).__name__}: {fault}")
        finally:
            with self._count:
                self.running -= 1
        tell(ending)  # at last: whoever hears it finds the seat free

    def stop(self) -> None:
        """Tell all whose answer isn't whole that it won't be."""
        self._stopping = True

    async def _next(self, events: asyncio.Queue, is_gone: Callable):
        while not self._stopping:
            try:
                return await asyncio.wait_for(events.get(), LOOK_S)
            except TimeoutError:
                if await is_gone():
                    raise Refusal(499, "client_closed_request", "The client has gone.") from None
        raise Refusal(503, "server_stopping", "The server is being stopped: ask again when it is back.")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.engine.close()


async def whole(events: AsyncIterator, is_gone: Callable) -> tuple[int, list[Token], End]:
    """All of an answer at once, for a client that doesn't stream; stopped when the client has gone."""
    tokens, prompt_tokens = [], 0
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Accepted):
                prompt_tokens = event.prompt_tokens
            elif isinstance(event, Token):
                tokens.append(event)
                if len(tokens) % 8 == 0 and await is_gone():
                    raise Refusal(499, "client_closed_request", "The client has gone.")
            else:
                return prompt_tokens, tokens, event
    raise Refusal(500, "server_error", "The answer ended without an end.")

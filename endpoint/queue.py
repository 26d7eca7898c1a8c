"""Where requests wait their turn: as many run as the engine has slots, some wait, and the next is sent away kindly.

Turns an engine's answer, which a thread reads, into events that an event loop can await. Knows nothing about HTTP.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

from endpoint.openai_protocol import Refusal
from slmlab.engines.base import Engine
from slmlab.records import End, Reply, Start, Token

RETRY_S = 2  # when one that is sent away may come back: a short answer takes so long
LOOK_S = 0.5  # how often an answer is looked after: has its client gone?


class Queue:
    """An engine, its slots, and who waits for one."""

    def __init__(self, engine: Engine, waiting: int = 32):
        self.engine, self.slots, self.waiting = engine, engine.seats, waiting
        self._inside: set[Future] = set()  # answers that are written or wait
        # Each slot is a thread that pushes its tokens. Pulled one by one through asyncio.to_thread, they would wait
        # for the event loop, and the batch would wait for them.
        threading.stack_size(16 * 2**20)  # a deep schema is read by recursion, and an overflow there ends the process
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="slmlab-answer")

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def running(self) -> int:
        return sum(one.running() for one in list(self._inside))

    @property
    def queued(self) -> int:
        return sum(not (one.running() or one.done()) for one in list(self._inside))

    async def answer(
        self, ask: Callable[[], Reply], is_gone: Callable, admitted: bool = False
    ) -> AsyncIterator[Start | Token | End]:
        """The events of one answer. Leaving early stops the engine, and so does a client that has gone."""
        if not admitted and self.inside >= self.slots + self.waiting:
            raise Refusal(429, "rate_limit_exceeded", f"{self.inside} requests are being answered or wait. "
                          f"Try again in {RETRY_S} s.", headers={"Retry-After": str(RETRY_S)})  # fmt: skip
        loop, events, cancelled = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()

        def tell(event) -> None:
            if not cancelled.is_set():
                loop.call_soon_threadsafe(events.put_nowait, event)

        work = self._threads.submit(self._run, ask, tell, cancelled)
        self._inside.add(work)
        looking = loop.create_task(_look(events, is_gone))
        try:
            event = None
            while not isinstance(event, End):
                event = await events.get()
                if isinstance(event, Exception):
                    raise Refusal.of(event) from event
                yield event
        finally:
            cancelled.set()
            self._inside.discard(work)
            looking.cancel()
            work.cancel()  # one that still waits for a thread never starts

    def _run(self, ask: Callable[[], Reply], tell: Callable, cancelled: threading.Event) -> None:
        try:
            with self.engine.until(cancelled):
                reply = ask()
                tokens = iter(reply)
                first = list(islice(tokens, 1))  # what has to be refused is refused before it
                for event in chain([reply.start], first, tokens):
                    if cancelled.is_set():
                        return
                    tell(event)
            tell(reply.end)
        except Exception as fault:  # whatever fails in one answer must not end the server, and is told to its asker
            tell(fault)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.engine.close()


async def _look(events: asyncio.Queue, is_gone: Callable) -> None:
    """Tell, once the client has gone: it may be the only event that comes."""
    while not await is_gone():
        await asyncio.sleep(LOOK_S)
    events.put_nowait(Refusal(499, "client_closed_request", "The client has gone."))

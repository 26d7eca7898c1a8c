"""The scheduler of the batch: whose text is read next, and how many share a run of the model.

A thread takes a slot, hands ids over and waits for the logits after them; one thread of the scheduler's own runs the
model for whoever waits. Newcomers join at any step. Knows nothing about text, sampling or networks.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident

import numpy as np

from endpoint.batch.model import BatchModel
from slmlab.engines.local import capacity_for, shared_length
from slmlab.errors import BadRequest, SlmLabError

CAPACITY = 2048  # ids that each slot holds at first; it doubles when a text needs more
PREFIXES = 4  # slots whose text stays when its reader leaves: who begins alike needn't have that read again
BLOCK = 128  # ids of a prompt that are read in one run: between two blocks, the others get their next token
GATHER_S = 0.004  # how long a step waits for those who are choosing their next token
REST_S = 30  # after so long without a question, the memory of the texts goes back: a server of 774 MB then holds 382
LOOK_S = 0.2  # how often one that waits for a slot is looked after: does anybody still want it?
CANCELLED = "Nobody waits for this answer."
CLOSED = "This model was closed."
HELD = "This thread has begun {} answers, as many as are written at once. Read one to its end first, or close it."


@dataclass(frozen=True)
class Slot:
    """Where a text lives: a row of the cache, in which the model has read `cached` of its ids with an earlier text."""

    row: int
    cached: int


@dataclass(eq=False)
class _Request:
    row: int
    ids: Sequence[int]
    cancelled: threading.Event  # set when nobody wants the logits any more
    passed: int = 0  # how many blocks of others were read first
    done: Future = field(default_factory=Future)


class Scheduler:
    """Runs one model for many threads: `acquire` a slot, `read` any number of times, `release`. Whoever waits in vain
    gets an error once its `cancelled` is set."""

    def __init__(self, folder: Path, slots: int, threads: int | None = None):
        self._model = BatchModel(folder, threads)
        self.threads, self.context = self._model.threads, self._model.context
        self._cache = self._model.memory(slots, min(CAPACITY, self.context))
        self._holders: dict[int, int] = {}  # rows that are taken, to the thread that took each
        self._prefixes: dict[int, Sequence[int]] = {}  # free rows to the ids that stay there, the oldest first
        self._slots = threading.Semaphore(slots)
        self._change = threading.Condition()
        self._waiting: list[_Request] = []
        self._choosing: set[int] = set()  # rows whose thread has logits and will come back
        self._closed = False
        self._runner = threading.Thread(target=self._run, name="slmlab-batch", daemon=True)
        self._runner.start()

    # What threads call

    def acquire(self, ids: Sequence[int], cancelled: threading.Event) -> Slot:
        """A slot for a text that begins with these ids, which may be cached there; waits until one is free."""
        while not self._slots.acquire(timeout=LOOK_S):
            if self._closed or cancelled.is_set():
                raise SlmLabError(CLOSED if self._closed else CANCELLED)
            if list(self._holders.values()) == [get_ident()] * self._cache.rows:
                raise BadRequest(HELD.format(self._cache.rows))
        with self._change:
            slot = self._slot_for(ids)
            self._holders[slot.row] = get_ident()
            self._prefixes.pop(slot.row, None)
            self._cache.lengths[slot.row] = slot.cached
            return slot

    def _slot_for(self, ids: Sequence[int]) -> Slot:
        """A free slot. Of what is cached there, whole blocks count: they alone are read the same in every text."""
        cached = {row: shared_length(kept, ids[:-1]) // BLOCK * BLOCK for row, kept in self._prefixes.items()}
        best = max(cached, key=cached.get, default=None)
        if best is not None and cached[best]:
            return Slot(best, cached[best])
        ages = {row: age for age, row in enumerate(self._prefixes, start=1)}
        free = (row for row in range(self._cache.rows) if row not in self._holders)
        # Low rows first, so that a step spans few; of those that keep a text, the oldest.
        return Slot(min(free, key=lambda row: (row >= PREFIXES, ages.get(row, 0), row)), 0)

    def read(self, slot: Slot, ids: Sequence[int], cancelled: threading.Event) -> np.ndarray:
        """The logits after these ids, once the model has read them. Waits for the batch."""
        request = _Request(slot.row, ids, cancelled)
        with self._change:
            if self._closed:
                raise SlmLabError(CLOSED)
            self._waiting.append(request)
            self._choosing.discard(slot.row)
            self._change.notify_all()
        return request.done.result()

    def release(self, slot: Slot, read: Sequence[int] = ()) -> None:
        """Give a slot back; `read` are the ids of its text that were read in whole blocks."""
        with self._change:
            self._choosing.discard(slot.row)
            del self._holders[slot.row]
            if len(read) and slot.row < PREFIXES:
                self._prefixes[slot.row] = tuple(read)
            self._change.notify_all()
        self._slots.release()

    def close(self) -> None:
        self.end()
        self._runner.join()

    def end(self) -> None:
        """Close without waiting for the run that is under way: whoever calls may be the thread that does it."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    # What the scheduler's own thread does

    def _run(self) -> None:
        while (requests := self._next_requests()) is not None:
            self._attempt(self._serve, requests)
        self._finish(list(self._waiting), SlmLabError(CLOSED))

    def _next_requests(self) -> list[_Request] | None:
        with self._change:
            while not self._change.wait_for(lambda: self._waiting or self._closed, timeout=REST_S):
                self._attempt(self._give_back, [])
            if not self._change.wait_for(lambda: not self._choosing or self._closed, timeout=GATHER_S):
                self._choosing.clear()  # whoever is slow joins a later step
            return None if self._closed else list(self._waiting)

    def _give_back(self, _) -> None:
        if self._cache.lengths.any() and not self._holders:
            self._cache = self._model.memory(self._cache.rows, min(CAPACITY, self.context))
            self._prefixes.clear()

    def _serve(self, requests: list[_Request]) -> None:
        """In turn: one step for all that write, one block of one prompt."""
        self._finish([one for one in requests if one.cancelled.is_set()], SlmLabError(CANCELLED))
        too_long = [one for one in requests if self._length(one) > self._cache.capacity]
        if too_long:
            self._attempt(self._make_room, too_long)
        wanted = [one for one in requests if not one.done.done()]
        writers = [one for one in wanted if len(one.ids) == 1]
        readers = [one for one in wanted if len(one.ids) > 1]
        if writers:
            self._attempt(self._step, writers)
        if readers:
            self._attempt(self._read_block, [_next_reader(readers)])

    def _length(self, request: _Request) -> int:
        return int(self._cache.lengths[request.row]) + len(request.ids)

    def _make_room(self, requests: list[_Request]) -> None:
        self._cache.grow(capacity_for(max(map(self._length, requests)), self.context))

    def _attempt(self, run, requests: list[_Request]) -> None:
        """Nobody waits for ever: the runtime raises its own untyped errors, the askers get them, the batch goes on."""
        try:
            run(requests)
        except Exception as fault:
            self._finish([one for one in requests if not one.done.done()], SlmLabError(f"The model failed: {fault}"))

    def _finish(self, requests: list[_Request], results: Sequence[np.ndarray] | SlmLabError) -> None:
        with self._change:
            self._waiting = [one for one in self._waiting if one not in requests]
            self._choosing.update(one.row for one in requests)
        for number, request in enumerate(requests):
            if isinstance(results, SlmLabError):
                request.done.set_exception(results)
            else:
                request.done.set_result(results[number])

    def _step(self, requests: list[_Request]) -> None:
        """One id more for each. Rows between theirs are run along with an id that counts for nothing: what it leaves
        in the cache lies behind the end of that row's text, and the next true id is written over it."""
        rows = [one.row for one in requests]
        count = max(max(rows) - min(rows) + 1, min(self._model.fewest_rows, self._cache.rows))
        first = min(min(rows), self._cache.rows - count)
        ids = np.zeros((count, 1), dtype=np.int64)
        for request in requests:
            ids[request.row - first] = request.ids[0]
        logits = self._model.forward(self._cache, first, ids)
        self._cache.lengths[rows] += 1
        self._finish(requests, [logits[row - first, -1].copy() for row in rows])

    def _read_block(self, requests: list[_Request]) -> None:
        """The next block of one prompt."""
        (request,) = requests
        block, request.ids = request.ids[:BLOCK], request.ids[BLOCK:]
        logits = self._model.forward(self._cache, request.row, np.asarray([block], dtype=np.int64))
        self._cache.lengths[request.row] += len(block)
        if not request.ids:
            self._finish(requests, [logits[0, -1].copy()])


def _next_reader(readers: list[_Request]) -> _Request:
    """Whose block comes next: the shortest prompt's, but each block that one lets pass counts as one it has read."""
    chosen = min(readers, key=lambda one: len(one.ids) / BLOCK - one.passed)
    for one in readers:
        one.passed += one is not chosen
    return chosen

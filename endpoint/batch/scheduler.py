"""The scheduler of the batch: whose text is read next, and how many share a run of the model.

A thread takes a slot, hands ids over and waits for the logits after them; one thread of the scheduler's own runs the
model for whoever waits. Newcomers join at any step. Knows nothing about text, sampling or networks.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from endpoint.batch.model import BatchModel, KeyValues
from slmlab.engines.local import shared_length
from slmlab.errors import SlmLabError

LONGEST_SHARED = 2048  # ids of a text that shares the table; a longer one gets memory of its own, and gives it back
LONG_SLOTS = 2
PREFIXES = 4  # slots whose text stays when its reader leaves: who begins alike needn't have that read again
BLOCK = 128  # ids of a prompt that are read in one run: between two blocks, the others get their next token
GATHER_S = 0.004  # how long a step waits for those who are choosing their next token
LOOK_S = 0.2  # how often one that waits for a slot is looked after: does anybody still want it?
CANCELLED = "Nobody waits for this answer."
CLOSED = "This model was closed."


@dataclass(frozen=True)
class Slot:
    """Where a text lives: a row of a cache, in which the model has read `cached` of its ids with an earlier text."""

    cache: KeyValues
    row: int
    cached: int = 0


@dataclass(eq=False)
class _Request:
    slot: Slot
    ids: Sequence[int]
    cancelled: threading.Event | None = None  # set when nobody wants the logits any more
    passed: int = 0  # how many blocks of others were read first
    done: Future = field(default_factory=Future)


class Scheduler:
    """Runs one model for many threads: `acquire` a slot, `read` any number of times, `release`. Whoever waits in vain
    gets an error once its `cancelled` is set."""

    def __init__(self, folder: Path, slots: int, threads: int | None = None):
        self._model = BatchModel(folder, threads)
        self.threads, self.context = self._model.threads, self._model.context
        self._table = self._model.memory(slots, min(LONGEST_SHARED, self.context))
        self._free = list(range(slots))  # rows of the table
        self._prefixes: dict[int, Sequence[int]] = {}  # free rows to the ids that stay there, the oldest first
        self._slots = threading.Semaphore(slots)
        self._long_slots = threading.Semaphore(LONG_SLOTS)
        self._change = threading.Condition()
        self._waiting: list[_Request] = []
        self._choosing: set[int] = set()  # rows of the table whose thread has logits and will come back
        self._closed = False
        self._runner = threading.Thread(target=self._run, name="slmlab-batch", daemon=True)
        self._runner.start()

    # What threads call

    def acquire(
        self, capacity: int, most: int = 0, cancelled: threading.Event | None = None, ids: Sequence[int] = ()
    ) -> Slot:
        """A slot for a text of that many ids, which may `grow` to `most`; waits until one is free. With its `ids`, one
        where those that it begins with are cached, if there is one."""
        if capacity > self._table.capacity:
            return Slot(self._own_memory(max(capacity, most), cancelled), 0)
        self._wait_for(self._slots, cancelled)
        with self._change:
            row, cached = self._row_for(ids)
            self._free.remove(row)
            self._prefixes.pop(row, None)
            self._table.lengths[row] = cached
            return Slot(self._table, row, cached)

    def _row_for(self, ids: Sequence[int]) -> tuple[int, int]:
        """A free row, and how many of these ids are cached there; none counts that a block doesn't end with, for only
        whole blocks are read the same in every text. Low rows first, so that a step spans few."""
        cached = {row: shared_length(kept, ids[:-1]) // BLOCK * BLOCK for row, kept in self._prefixes.items()}
        best = max(cached, key=cached.get, default=None)
        if best is not None and cached[best]:
            return best, cached[best]
        ages = {row: age for age, row in enumerate(self._prefixes, start=1)}
        return min(self._free, key=lambda row: (row >= PREFIXES, ages.get(row, 0), row)), 0

    def grow(self, slot: Slot, capacity: int, cancelled: threading.Event | None = None) -> Slot:
        """A slot of its own for a text that has outgrown the table, with all that the model has read of it."""
        memory, length = self._own_memory(capacity, cancelled), slot.cache.lengths[slot.row]
        for old, new in zip(slot.cache.arrays, memory.arrays, strict=True):
            new[0, :, :length] = old[slot.row, :, :length]
        memory.lengths[0] = length
        self.release(slot)
        return Slot(memory, 0)

    def _own_memory(self, capacity: int, cancelled: threading.Event | None) -> KeyValues:
        self._wait_for(self._long_slots, cancelled)
        try:
            return self._model.memory(1, capacity)
        except BaseException:  # there was too little of it
            self._long_slots.release()
            raise

    def _wait_for(self, slots: threading.Semaphore, cancelled: threading.Event | None) -> None:
        while not slots.acquire(timeout=LOOK_S):
            if self._closed:
                raise SlmLabError(CLOSED)
            if _is_set(cancelled):
                raise SlmLabError(CANCELLED)

    def read(self, slot: Slot, ids: Sequence[int], cancelled: threading.Event | None = None) -> np.ndarray:
        """The logits after these ids, once the model has read them. Waits for the batch."""
        length = slot.cache.lengths[slot.row] + len(ids)
        assert length <= slot.cache.capacity, f"got {length} ids, and the slot holds {slot.cache.capacity}"
        request = _Request(slot, ids, cancelled)
        with self._change:
            if self._closed:
                raise SlmLabError(CLOSED)
            self._waiting.append(request)
            self._choosing.discard(slot.row if slot.cache is self._table else -1)
            self._change.notify_all()
        return request.done.result()

    def release(self, slot: Slot, read: Sequence[int] = ()) -> None:
        """Give a slot back; `read` are the ids of its text that were read in whole blocks."""
        if slot.cache is not self._table:
            self._long_slots.release()
            return
        with self._change:
            self._choosing.discard(slot.row)
            self._free.append(slot.row)
            if len(read) and slot.row < PREFIXES:
                self._prefixes[slot.row] = tuple(read)
            self._change.notify_all()
        self._slots.release()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._runner.join()

    # What the scheduler's own thread does

    def _run(self) -> None:
        while (requests := self._next_requests()) is not None:
            self._attempt(self._serve, requests)
        self._finish(list(self._waiting), SlmLabError(CLOSED))

    def _next_requests(self) -> list[_Request] | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if not self._change.wait_for(lambda: not self._choosing or self._closed, timeout=GATHER_S):
                self._choosing.clear()  # whoever is slow joins a later step
            return None if self._closed else list(self._waiting)

    def _serve(self, requests: list[_Request]) -> None:
        """In turn: one step for all that write, one block of one prompt."""
        self._finish([one for one in requests if _is_set(one.cancelled)], SlmLabError(CANCELLED))
        wanted = [one for one in requests if not one.done.done()]
        writers = [one for one in wanted if len(one.ids) == 1 and one.slot.cache is self._table]
        readers = [one for one in wanted if one not in writers]
        if writers:
            self._attempt(self._step, writers)
        if readers:
            self._attempt(self._read_block, [_next_reader(readers)])

    def _attempt(self, run, requests: list[_Request]) -> None:
        """Nobody waits for ever: the runtime raises its own untyped errors, the askers get them, the batch goes on."""
        try:
            run(requests)
        except Exception as fault:
            self._finish([one for one in requests if not one.done.done()], SlmLabError(f"The model failed: {fault}"))

    def _finish(self, requests: list[_Request], results: Sequence[np.ndarray] | SlmLabError) -> None:
        with self._change:
            self._waiting = [one for one in self._waiting if one not in requests]
            self._choosing.update(one.slot.row for one in requests if one.slot.cache is self._table)
        for number, request in enumerate(requests):
            if isinstance(results, SlmLabError):
                request.done.set_exception(results)
            else:
                request.done.set_result(results[number])

    def _step(self, requests: list[_Request]) -> None:
        """One id more for each. Rows between theirs are run along with an id that counts for nothing: what it leaves
        in the cache lies behind the end of that row's text, and the next true id is written over it."""
        rows = [one.slot.row for one in requests]
        count = max(max(rows) - min(rows) + 1, min(self._model.fewest_rows, self._table.rows))
        first = min(min(rows), self._table.rows - count)
        ids = np.zeros((count, 1), dtype=np.int64)
        for request in requests:
            ids[request.slot.row - first] = request.ids[0]
        logits = self._model.forward(self._table, first, ids)
        self._table.lengths[rows] += 1
        self._finish(requests, [logits[row - first, -1].copy() for row in rows])

    def _read_block(self, requests: list[_Request]) -> None:
        """The next block of one prompt."""
        (request,) = requests
        cache, row = request.slot.cache, request.slot.row
        block, request.ids = request.ids[:BLOCK], request.ids[BLOCK:]
        logits = self._model.forward(cache, row, np.asarray([block], dtype=np.int64))
        cache.lengths[row] += len(block)
        if not request.ids:
            self._finish(requests, [logits[0, -1].copy()])


def _is_set(cancelled: threading.Event | None) -> bool:
    return cancelled is not None and cancelled.is_set()


def _next_reader(readers: list[_Request]) -> _Request:
    """Whose block comes next: the shortest prompt's, but each block that one lets pass counts as one it has read."""
    chosen = min(readers, key=lambda one: len(one.ids) / BLOCK - one.passed)
    for one in readers:
        one.passed += one is not chosen
    return chosen

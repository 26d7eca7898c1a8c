"""The batch: whose text is read next, and how many share a run of the model.

A thread takes a place, hands ids over and waits for the logits after them; one thread of the batcher's own runs the
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
from slmlab.errors import BadRequest, SlmLabError

LONGEST_SHARED = 2048  # ids of a text that shares the table; a longer one gets memory of its own, and gives it back
LONG_PLACES = 2
KEPT = 4  # rows whose text stays when its reader leaves: who begins alike needn't have that read again
BLOCK = 128  # ids of a prompt that are read in one run: between two blocks, the others get their next token
GATHER_S = 0.004  # how long a step waits for those who are choosing their next token
LOOK_S = 0.2  # how often one that waits for a place is looked after: does anybody still want it?


@dataclass(frozen=True)
class Place:
    """Where a text sits: a row of a cache, in which the model has `known` of its ids from a text that began alike."""

    cache: KeyValues
    row: int
    known: int = 0


@dataclass(eq=False)
class _Work:
    place: Place
    ids: Sequence[int]
    gone: threading.Event | None = None  # set when nobody wants the logits any more
    left: bool = False  # its thread was interrupted
    passed: int = 0  # how many blocks of others were read first
    done: Future = field(default_factory=Future)


class Batcher:
    """Runs one model for many threads. `sit`, `read` any number of times, `leave`. Whoever waits in vain is told so
    by an error once its `gone` is set."""

    def __init__(self, folder: Path, rows: int, threads: int | None = None):
        self._model = BatchModel(folder, threads)
        self.threads, self.context = self._model.threads, self._model.context
        self._table = self._model.memory(rows, min(LONGEST_SHARED, self.context))
        self._free_rows = list(range(rows))
        self._kept: dict[int, Sequence[int]] = {}  # free rows to the ids that stay there, the oldest first
        self._seats = threading.Semaphore(rows)
        self._long_seats = threading.Semaphore(LONG_PLACES)
        self._change = threading.Condition()
        self._waiting: list[_Work] = []
        self._choosing: set[int] = set()  # rows of the table whose thread has logits and will come back
        self._closed = False
        self._runner = threading.Thread(target=self._run, name="slmlab-batch", daemon=True)
        self._runner.start()

    # What threads call

    def sit(self, capacity: int, most: int = 0, gone: threading.Event | None = None, ids: Sequence[int] = ()) -> Place:
        """A place for a text of that many ids, which may `grow` to `most`; waits until one is free. With its `ids`, one
        where those that it begins with are known, if there is one."""
        if capacity > self._table.capacity:
            return Place(self._own_memory(max(capacity, most), gone), 0)
        self._wait_for(self._seats, gone)
        with self._change:
            row, known = self._row_for(ids)
            self._free_rows.remove(row)
            self._kept.pop(row, None)
            self._table.lengths[row] = known
            return Place(self._table, row, known)

    def _row_for(self, ids: Sequence[int]) -> tuple[int, int]:
        """A free row, and how many of these ids are known there; none counts that a block doesn't end with, for only
        whole blocks are read the same in every text. Low rows first, so that a step spans few."""
        known = {row: shared_length(kept, ids[:-1]) // BLOCK * BLOCK for row, kept in self._kept.items()}
        best = max(known, key=known.get, default=None)
        if best is not None and known[best]:
            return best, known[best]
        ages = {row: age for age, row in enumerate(self._kept, start=1)}
        return min(self._free_rows, key=lambda row: (row >= KEPT, ages.get(row, 0), row)), 0

    def grow(self, place: Place, capacity: int, gone: threading.Event | None = None) -> Place:
        """A place of its own for a text that has outgrown the table, with all that the model has read of it."""
        memory, length = self._own_memory(capacity, gone), place.cache.lengths[place.row]
        for old, new in zip(place.cache.arrays, memory.arrays, strict=True):
            new[0, :, :length] = old[place.row, :, :length]
        memory.lengths[0] = length
        self.leave(place)
        return Place(memory, 0)

    def _own_memory(self, capacity: int, gone: threading.Event | None) -> KeyValues:
        self._wait_for(self._long_seats, gone)
        try:
            return self._model.memory(1, capacity)
        except BaseException:  # there was too little of it
            self._long_seats.release()
            raise

    def _wait_for(self, seats: threading.Semaphore, gone: threading.Event | None) -> None:
        while not seats.acquire(timeout=LOOK_S):
            if self._closed:
                raise SlmLabError("This model was closed.")
            if gone is not None and gone.is_set():
                raise SlmLabError("Nobody waits for this answer.")

    def read(self, place: Place, ids: Sequence[int], gone: threading.Event | None = None) -> np.ndarray:
        """The logits after these ids, once the model has read them. Waits for the batch."""
        if place.cache.lengths[place.row] + len(ids) > place.cache.capacity:
            raise BadRequest(f"This text has room for {place.cache.capacity:,} ids.")
        work = _Work(place, ids, gone)
        with self._change:
            if self._closed:
                raise SlmLabError("This model was closed.")
            self._waiting.append(work)
            self._choosing.discard(place.row if place.cache is self._table else -1)
            self._change.notify_all()
        try:
            return work.done.result()
        except BaseException:  # also an interrupt: the row is given back when nobody writes to it any more
            work.left = True
            work.done.exception()
            raise

    def leave(self, place: Place, read: Sequence[int] = ()) -> None:
        """Give a place back; `read` are the ids of its text that were read in whole blocks."""
        if place.cache is not self._table:
            self._long_seats.release()
            return
        with self._change:
            self._choosing.discard(place.row)
            self._free_rows.append(place.row)
            if len(read) and place.row < KEPT:
                self._kept[place.row] = tuple(read)
            self._change.notify_all()
        self._seats.release()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._runner.join()

    # What the batcher's own thread does

    def _run(self) -> None:
        """In turn: one step for all that write, one block of one prompt."""
        while (works := self._next_works()) is not None:
            left = [work for work in works if work.left or (work.gone is not None and work.gone.is_set())]
            self._finish(left, [SlmLabError("Nobody waits for this answer.")] * len(left))
            works = [work for work in works if work not in left]
            writers = [work for work in works if len(work.ids) == 1 and work.place.cache is self._table]
            readers = [work for work in works if work not in writers]
            if writers:
                self._attempt(self._step, writers)
            if readers:
                self._attempt(self._read_block, [_next_reader(readers)])
        for work in self._waiting:
            work.done.set_exception(SlmLabError("This model was closed."))

    def _next_works(self) -> list[_Work] | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if not self._change.wait_for(lambda: not self._choosing or self._closed, timeout=GATHER_S):
                self._choosing.clear()  # whoever is slow joins a later step
            return None if self._closed else list(self._waiting)

    def _attempt(self, run, works: list[_Work]) -> None:
        try:
            run(works)
        except Exception as fault:  # the runtime raises its own untyped errors: the askers get them, the batch goes on
            self._finish(works, [SlmLabError(f"The model failed: {fault}")] * len(works))

    def _finish(self, works: list[_Work], results: Sequence[np.ndarray | SlmLabError]) -> None:
        with self._change:
            self._waiting = [work for work in self._waiting if work not in works]
            self._choosing.update(work.place.row for work in works if work.place.cache is self._table)
        for work, result in zip(works, results, strict=True):
            if isinstance(result, SlmLabError):
                work.done.set_exception(result)
            else:
                work.done.set_result(result)

    def _step(self, works: list[_Work]) -> None:
        """One id more for each. Rows between theirs are run along with an id that counts for nothing: what it leaves
        in the cache lies behind the end of that row's text, and the next true id is written over it."""
        rows = [work.place.row for work in works]
        first, last = min(rows), max(rows)
        ids = np.zeros((last - first + 1, 1), dtype=np.int64)
        for work in works:
            ids[work.place.row - first] = work.ids[0]
        logits = self._model.forward(self._table, first, ids)
        self._table.lengths[rows] += 1
        self._finish(works, [logits[row - first, -1].copy() for row in rows])

    def _read_block(self, works: list[_Work]) -> None:
        """The next block of one prompt."""
        (work,) = works
        cache, row = work.place.cache, work.place.row
        block, work.ids = work.ids[:BLOCK], work.ids[BLOCK:]
        logits = self._model.forward(cache, row, np.asarray([block], dtype=np.int64))
        cache.lengths[row] += len(block)
        if not work.ids:
            self._finish(works, [logits[0, -1].copy()])


def _next_reader(readers: list[_Work]) -> _Work:
    """Whose block comes next: the shortest prompt's, but each block that one lets pass counts as one it has read."""
    chosen = min(readers, key=lambda work: len(work.ids) / BLOCK - work.passed)
    for work in readers:
        work.passed += work is not chosen
    return chosen

"""Many answers at once from one ONNX model: every step reads the weights once, for all that are being written.

Gives a LocalEngine for threads to share; each answer is the same, to the last bit, as if it were the only one. Knows
nothing about networks.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from endpoint.batch.scheduler import BLOCK, Scheduler, Slot
from slmlab.engines.local import LocalEngine, Session, Sight, capacity_for
from slmlab.errors import BadRequest
from slmlab.records import Sampling


class BatchedEngine(LocalEngine):
    """A model in ONNX form that up to `seats` threads ask at the same time; a thread more waits for a slot."""

    engine = "onnx"

    def __init__(self, card, folder: Path, precision: str, seats: int = 16, threads: int | None = None):
        super().__init__(card, folder, precision)
        self.seats = seats
        self._scheduler = Scheduler(folder, seats, threads)
        self._asker = threading.local()
        self.context, self.threads = self._scheduler.context, self._scheduler.threads

    @contextmanager
    def until(self, cancelled: threading.Event) -> Iterator[None]:
        self._asker.cancelled = cancelled
        try:
            yield
        finally:
            self._asker.cancelled = None

    def _session(self, capacity: int) -> "BatchedSession":
        return BatchedSession(self._scheduler, capacity, getattr(self._asker, "cancelled", None))

    def _take_spare(self, ids: Sequence[int], room: int, sight: Sight | None) -> "BatchedSession":
        session = self._session(capacity_for(len(ids) + room, self.context))
        session.start(ids)
        return session

    def _put_away(self, session: Session, finished: bool) -> None:
        session.close()  # its slot is for the next answer

    def _beams(self, ids: Sequence[int], room: int, sampling: Sampling) -> list[int]:
        raise BadRequest("Beam search writes one answer in many rows, and these rows are for many readers: beams=1.")

    def _logits_of(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        session = self._session(len(ids))
        try:
            for id in ids:
                session.append([id])
                yield session.logits()[None]
        finally:
            session.close()

    def close(self) -> None:
        super().close()
        self._scheduler.close()


class BatchedSession(Session):
    """One text in the batch. An id that was chosen is read by the model when the next one is wanted."""

    def __init__(self, scheduler: Scheduler, capacity: int, cancelled: threading.Event | None = None):
        super().__init__(capacity)
        self._scheduler, self._cancelled = scheduler, cancelled
        self._slot: Slot | None = None
        self._logits: np.ndarray | None = None
        self._unread: list[int] = []

    def _feed(self, ids: Sequence[int]) -> None:
        self._unread += ids

    def start(self, ids: Sequence[int]) -> None:
        """Take a slot for a text that begins with these ids. Those that are cached there are taken in by that."""
        self._slot = self._scheduler.acquire(len(ids), self.capacity, self._cancelled, ids)
        self.ids, self.whole = list(ids[: self._slot.cached]), self._slot.cached

    def logits(self) -> np.ndarray:
        if self._unread:
            ids, self._unread = self._unread, []
            self._slot = self._slot_for_all()
            self._logits = self._scheduler.read(self._slot, ids, self._cancelled)
            if self.whole == len(self.ids) - len(ids):
                self.whole += len(ids) // BLOCK * BLOCK
        return self._logits

    def _slot_for_all(self) -> Slot:
        """A slot for all ids so far: in the shared table for as long as they fit, then one of its own."""
        if self._slot is None:
            return self._scheduler.acquire(len(self.ids), self.capacity, self._cancelled)
        if len(self.ids) > self._slot.cache.capacity:
            return self._scheduler.grow(self._slot, self.capacity, self._cancelled)
        return self._slot

    def close(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            self._scheduler.release(slot, self.ids[: self.whole])

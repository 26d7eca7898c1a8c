"""Many answers at once from one ONNX model: every step reads the weights once, for all that are being written.

Gives a LocalEngine for threads to share; each answer is the same, to the last bit, as if it were the only one. Knows
nothing about networks.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from endpoint.batch.scheduler import BLOCK, Batcher, Place
from slmlab.engines.local import LocalEngine, Session, Sight, capacity_for
from slmlab.errors import BadRequest
from slmlab.records import Sampling


class BatchedEngine(LocalEngine):
    """A model in ONNX form that up to `seats` threads ask at the same time; a thread more waits for a seat."""

    engine = "onnx"

    def __init__(self, card, folder: Path, precision: str, seats: int = 16, threads: int | None = None):
        super().__init__(card, folder, precision)
        self.seats = seats
        self._batcher = Batcher(folder, seats, threads)
        self._asker = threading.local()
        self.context = self._batcher.context
        self.threads = self._batcher.threads

    def _session(self, capacity: int) -> "BatchedSession":
        return BatchedSession(self._batcher, capacity, getattr(self._asker, "gone", None))

    @contextmanager
    def until(self, gone: threading.Event) -> Iterator[None]:
        before = getattr(self._asker, "gone", None)
        self._asker.gone = gone
        try:
            yield
        finally:
            self._asker.gone = before

    def _take_spare(self, ids: Sequence[int], room: int, sight: Sight | None) -> "BatchedSession":
        session = self._session(capacity_for(len(ids) + room, self.context))
        session.sit(ids)
        return session

    def _put_away(self, session: Session, finished: bool) -> None:
        session.close()  # its seat is for the next answer

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
        self._batcher.close()


class BatchedSession(Session):
    """One text in the batch. An id that was chosen is read by the model when the next one is wanted."""

    def __init__(self, batcher: Batcher, capacity: int, gone: threading.Event | None = None):
        super().__init__(capacity)
        self._batcher, self._gone = batcher, gone
        self._place: Place | None = None
        self._logits: np.ndarray | None = None
        self._unread: list[int] = []

    def _feed(self, ids: Sequence[int]) -> None:
        self._unread += ids

    def sit(self, ids: Sequence[int]) -> None:
        """Take a place for a text that begins with these ids. Those that are known there are taken in by that."""
        self._place = self._batcher.sit(len(ids), self.capacity, self._gone, ids)
        self.ids, self.whole = list(ids[: self._place.known]), self._place.known

    def logits(self) -> np.ndarray:
        if self._unread:
            ids, self._unread = self._unread, []
            self._place = self._seated()
            self._logits = self._batcher.read(self._place, ids, self._gone)
            if self.whole == len(self.ids) - len(ids):
                self.whole += len(ids) // BLOCK * BLOCK
        return self._logits

    def _seated(self) -> Place:
        """A place for all ids so far: among the others for as long as they fit, then one of its own."""
        if self._place is None:
            return self._batcher.sit(len(self.ids), self.capacity, self._gone)
        if len(self.ids) > self._place.cache.capacity:
            return self._batcher.grow(self._place, self.capacity, self._gone)
        return self._place

    def close(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._batcher.leave(place, self.ids[: self.whole])

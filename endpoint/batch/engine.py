"""Many answers at once from one ONNX model: every step reads the weights once, for all that are being written.

Gives a LocalEngine for threads to share; each answer is the same, to the last bit, as if it were the only one. Knows
nothing about networks.
"""

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from endpoint.batch.scheduler import BLOCK, Scheduler
from slmlab.engines.local import ImageInputs, LocalEngine, Session
from slmlab.engines.onnx import OnnxEngine


class BatchedEngine(LocalEngine):
    """A model in ONNX form that up to `seats` threads ask at the same time; a thread more waits for a slot."""

    engine = "onnx"

    def __init__(self, card, folder: Path, precision: str, seats: int = 16, threads: int | None = None):
        super().__init__(card, folder, precision)
        self.seats = seats
        self._scheduler = Scheduler(folder, seats, threads)
        self._asker, self._reader = threading.local(), None
        self.context, self.threads = self._scheduler.context, self._scheduler.threads
        weakref.finalize(self, self._scheduler.end)  # its thread would keep the model of an engine that is gone

    @contextmanager
    def until(self, cancelled: threading.Event) -> Iterator[None]:
        self._asker.cancelled = cancelled
        try:
            yield
        finally:
            del self._asker.cancelled

    def _take_cached(self, ids: Sequence[int], max_new: int, image_inputs: ImageInputs | None) -> "BatchedSession":
        return BatchedSession(self._scheduler, ids, getattr(self._asker, "cancelled", threading.Event()))

    def _keep_or_close(self, session: Session, finished: bool) -> None:
        session.close()  # its slot is for the next answer

    def logits(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        with self._lock:  # by the graph that gives a row for every id, which is opened when it is first wanted
            self._reader = self._reader or OnnxEngine(self.card, self.folder, self.precision, self.threads)
        return self._reader.logits(ids)

    def close(self) -> None:
        super().close()
        self._scheduler.close()


class BatchedSession(Session):
    """One text in the batch, which begins with some ids: those that are cached there are taken in at once. An id that
    was chosen is read by the model when the next one is wanted."""

    def __init__(self, scheduler: Scheduler, ids: Sequence[int], cancelled: threading.Event):
        super().__init__(scheduler.context)
        self._scheduler, self._cancelled = scheduler, cancelled
        self._slot = scheduler.acquire(ids, cancelled)
        self.ids, self.in_blocks = list(ids[: self._slot.cached]), self._slot.cached
        self._logits = np.empty(0)
        self._unread: list[int] = []

    def _feed(self, ids: Sequence[int]) -> None:
        self._unread += ids

    def logits(self) -> np.ndarray:
        if self._unread:
            ids, self._unread = self._unread, []
            self._logits = self._scheduler.read(self._slot, ids, self._cancelled)
            if self.in_blocks == len(self.ids) - len(ids):
                self.in_blocks += len(ids) // BLOCK * BLOCK
        return self._logits

    def close(self) -> None:
        self._scheduler.release(self._slot, self.ids[: self.in_blocks])

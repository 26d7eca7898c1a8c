"""The two engines of the course, in each precision, as slmlab.load opens them."""

from functools import partial
from pathlib import Path

import numpy as np

from course.runtimes.contract import Runtime, folder_bytes, model_card
from slmlab import weights
from slmlab.engines.local import capacity_for
from slmlab.loading import ENGINES, load
from slmlab.sampling import log_softmax

ROOM = 256  # ids of an answer, as in a question that doesn't say how many


class BuiltIn(Runtime):
    """A session of slmlab's engine: ids alone, no text."""

    def __init__(self, engine: str, precision: str, file: Path | None = None):
        self.id, self._engine, self._precision = engine, engine, precision
        super().__init__(file)
        self._model = self._session = None

    def prepare(self) -> None:
        weights.folder(model_card(), "transformers" if self.id == "transformers" else f"onnx-{self._precision}")

    def open(self) -> None:
        self._model = load(engine=self._engine, precision=self._precision)
        self.version = self.facts.version()
        self.size_bytes = folder_bytes(self._model.format.folder)
        self.token_bytes = model_card().read_bytes(self._precision)

    def read(self, ids: list[int]) -> None:
        if self._session:
            self._session.close()
            self._session = None  # before the next takes its memory
        self._session = self._model._session(capacity_for(len(ids) + ROOM, self._model.context))
        self._session.append(ids)
        self._ready = self._session.take_likeliest()

    def write(self, count: int) -> list[int]:
        written = []
        for _ in range(count):
            written.append(self._ready)
            self._ready = self._session.take_likeliest()
        return written

    def judge(self, ids: list[int]) -> tuple[list[float], list[int]]:
        rows = np.concatenate([log_softmax(block) for block in self._model._logits_of(ids)])[:-1]
        return rows[np.arange(len(rows)), ids[1:]].tolist(), rows.argmax(axis=-1).tolist()

    def close(self) -> None:
        self._model.close()


RUNTIMES = {
    f"{engine} {precision}": partial(BuiltIn, engine, precision)
    for engine, precisions in ENGINES.items()
    for precision in precisions
}

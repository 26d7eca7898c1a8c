"""The two engines of the course, in each precision, as slmlab.load opens them."""

from course.runtimes.contract import CAPACITY, MODEL, Runtime, folder_bytes, scores
from slmlab import weights
from slmlab.loading import load


class BuiltIn(Runtime):
    """A session of slmlab's engine: ids alone, no text."""

    _session = None

    def __init__(self, name: str):
        self.id, self._precision = name.split()
        super().__init__(name)

    def prepare(self) -> None:
        weights.folder(MODEL, "transformers" if self.id == "transformers" else f"onnx-{self._precision}")

    def open(self) -> None:
        self._model = load(engine=self.id, precision=self._precision)
        self.size_bytes = folder_bytes(self._model.format.folder)
        self.token_bytes = MODEL.read_bytes(self._precision)

    def read(self, ids: list[int]) -> None:
        if self._session:
            self._session.close()
            self._session = None  # before the next takes its memory
        self._session = self._model.session(CAPACITY + 1)  # it chooses one id ahead
        self._session.append(ids)
        self._ready = self._session.take_likeliest()

    def step(self, id: int) -> int:
        return self._session.take_likeliest()  # it has taken in the one before by itself

    def score(self, ids: list[int]) -> tuple[list[float], list[int]]:
        return scores((row for block in self._model.logits(ids) for row in block), ids)

    def close(self) -> None:
        self._model.close()

"""The two engines of the course, in each precision, as slmlab.load opens them."""

from functools import partial

import numpy as np

PACKAGE = "slmlab"
CHOICES = {
    "onnx q4": {"precision": "q4"}, "onnx int8": {"precision": "int8"}, "onnx int4": {"precision": "int4"},
    "onnx fp32": {"precision": "fp32"}, "transformers bf16": {"engine": "transformers", "precision": "bf16"},
    "transformers fp32": {"engine": "transformers", "precision": "fp32"},
}  # fmt: skip


class BuiltIn:
    """A session of slmlab's engine: ids alone, no text."""

    def __init__(self, choice: dict):
        import slmlab

        self._model = slmlab.load(**choice)
        self._session = None
        folder = self._model.format.folder
        self.size_bytes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

    def begin(self, ids: list[int]) -> None:
        if self._session:
            self._session.close()
        self._session = self._model._session(capacity=1024)
        self._session.append(ids)
        self._session.take_likeliest()

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self._session.take_likeliest()

    def judge(self, ids: list[int]) -> tuple[list[float], list[int]]:
        from slmlab.sampling import log_softmax

        rows = np.concatenate([log_softmax(block) for block in self._model._logits_of(ids)])[:-1]
        return rows[np.arange(len(rows)), ids[1:]].tolist(), rows.argmax(axis=-1).tolist()

    def close(self) -> None:
        self._model.close()


CONTESTANTS = {name: partial(BuiltIn, choice) for name, choice in CHOICES.items()}

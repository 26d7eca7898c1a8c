"""MLX, through mlx-lm, on the Hugging Face folder. It is made for Apple's GPU (Metal); on Linux it runs on the CPU."""

import json
from pathlib import Path

from course.runtimes.contract import MODEL, Runtime, folder_bytes, scores
from slmlab import weights


class Mlx(Runtime):
    """The model of mlx-lm and a cache of its own: arrays that are computed when a number of them is asked for."""

    id = "mlx"

    def prepare(self) -> None:
        self._folder = weights.folder(MODEL, "transformers")

    def open(self) -> None:
        import mlx.core
        from mlx_lm.models.cache import make_prompt_cache
        from mlx_lm.utils import load_model

        self._mx, self._new_cache = mlx.core, make_prompt_cache
        self._model, _ = load_model(self._folder, model_config=_rotation(self._folder))
        self.size_bytes, self.token_bytes = folder_bytes(self._folder), MODEL.read_bytes("fp32")

    def read(self, ids: list[int]) -> None:
        self._cache = self._new_cache(self._model)
        self._ready = self.step(*ids)

    def step(self, id: int, *more: int) -> int:
        hidden = self._model.model(self._mx.array([[id, *more]]), cache=self._cache)[:, -1:]  # the last id alone
        return int(self._mx.argmax(self._head(hidden)[0, -1]).item())

    def _head(self, hidden):
        return self._model.model.embed_tokens.as_linear(hidden)

    def score(self, ids: list[int]) -> tuple[list[float], list[int]]:
        import numpy as np

        logits = self._head(self._model.model(self._mx.array([ids])))[0]
        return scores(np.array(logits.astype(self._mx.float32)), ids)


def _rotation(folder: Path) -> dict:
    """The base of the rotary positions where mlx-lm looks for it. Transformers 5 writes it a level deeper, and without
    it mlx-lm takes 10,000 instead: no error, and a fifth of the likeliest ids are others."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {"rope_theta": settings.get("rope_parameters", settings)["rope_theta"]}

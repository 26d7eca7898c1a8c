"""What a vision model made of a picture, and where it looked: records. Knows nothing about engines or plotting."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from slmlab.errors import BadRequest
from slmlab.pictures import Picture


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture on its way into the decoder: `pixels` as the model takes them (height, width, 3, from 0 to 1), a vector
    for each patch from the encoder, and from the projector: (rows, columns, width)."""

    model: str
    picture: Picture
    pixels: np.ndarray
    encoded: np.ndarray
    projected: np.ndarray

    @property
    def tokens(self) -> int:
        return self.projected.shape[0] * self.projected.shape[1]

    def likeness(self, row: int, column: int) -> np.ndarray:
        """How alike the encoder finds each patch to one of them: the cosine of their vectors, (rows, columns)."""
        rows, columns = self.encoded.shape[:2]
        if not (0 <= row < rows and 0 <= column < columns):
            raise BadRequest(f"There is no patch at row {row}, column {column}: there are {rows} x {columns}, from 0.")
        flat = self.encoded - self.encoded.mean((0, 1))  # what all patches share says nothing about one
        flat = flat / np.linalg.norm(flat, axis=-1, keepdims=True).clip(1e-9)
        return flat @ flat[row, column]

    def as_colours(self) -> np.ndarray:
        """The three directions in which the patches differ most, as red, green and blue: (rows, columns, 3)."""
        rows, columns, width = self.encoded.shape
        flat = self.encoded.reshape(-1, width)
        flat = flat - flat.mean(0)
        _, _, directions = np.linalg.svd(flat, full_matrices=False)
        found = flat @ directions[:3].T
        low, high = np.percentile(found, 2, axis=0), np.percentile(found, 98, axis=0)
        return ((found - low) / (high - low).clip(1e-9)).clip(0, 1).reshape(rows, columns, 3)


@dataclass(frozen=True, eq=False)
class Gaze:
    """How much each token of an answer attended to each patch: `weights` is (tokens, layers, heads, pictures, rows,
    columns); what is missing to 1 went to the text."""

    model: str
    pictures: tuple[Picture, ...]
    pieces: tuple[str, ...]
    weights: np.ndarray

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def on(self, token: int, picture: int = 0, layer: int | None = None) -> np.ndarray:
        """The patches that a token of the answer looked at, (rows, columns), over all layers or in one."""
        weights = self._of(token)
        if not 0 <= picture < len(self.pictures):
            raise BadRequest(f"There is no picture {picture}: there are {len(self.pictures)}, counted from 0.")
        if layer is not None and not 0 <= layer < weights.shape[0]:
            raise BadRequest(f"There is no layer {layer}: there are {weights.shape[0]}, counted from 0.")
        chosen = weights if layer is None else weights[layer : layer + 1]
        return chosen[:, :, picture].mean((0, 1))

    def share(self, token: int) -> float:
        """The part of its attention that a token gave to pictures, over all layers and heads."""
        return float(self._of(token).sum((2, 3, 4)).mean())

    def place_of(self, text: str, last: bool = False) -> int:
        """The token of the answer at which a text begins, the first time or the last."""
        begin = self.text.rfind(text) if last else self.text.find(text)
        if not text or begin < 0:
            raise BadRequest(f"{text!r} isn't in the answer {self.text!r}.")
        ends = np.cumsum([len(piece) for piece in self.pieces])
        return int(np.searchsorted(ends, begin, side="right"))

    def _of(self, token: int) -> np.ndarray:
        if isinstance(token, bool) or not isinstance(token, Integral) or not 0 <= token < len(self.pieces):
            raise BadRequest(f"There is no token {token!r}: the answer has {len(self.pieces)}, counted from 0.")
        return self.weights[token]

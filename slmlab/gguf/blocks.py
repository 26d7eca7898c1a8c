"""The quantized blocks of a GGUF file as they are: small integers, and the scale and minimum of each 32 of them.

Knows what the bytes mean, and nothing of models or runtimes.
"""

from dataclasses import dataclass

import numpy as np

from slmlab.errors import NotHere

SIZE = 32  # weights in a block


@dataclass(frozen=True)
class Blocks:
    """A matrix in blocks along its rows: weight = scale * number + minimum."""

    numbers: np.ndarray  # [rows, blocks, 32], 0 to 2 ** bits - 1
    scales: np.ndarray  # [rows, blocks]
    minimums: np.ndarray  # [rows, blocks]
    bits: int

    @property
    def rows(self) -> int:
        return self.numbers.shape[0]

    @property
    def columns(self) -> int:
        return self.numbers.shape[1] * SIZE

    def weights(self) -> np.ndarray:
        """The matrix in full."""
        return (self.numbers * self.scales[..., None] + self.minimums[..., None]).reshape(self.rows, self.columns)


def read_blocks(tensor) -> Blocks:
    """The blocks of a tensor of gguf's reader, which can only dequantize them."""
    kind = tensor.tensor_type.name
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise NotHere(f"{tensor.name} is quantized as {kind}. Blocks are carried over as they are from {known}.")
    columns, rows = (int(size) for size in tensor.shape)
    width, read = _READERS[kind]
    return read(tensor.data.reshape(rows, columns // SIZE, width))


def _q4_1(raw: np.ndarray) -> Blocks:
    """Scale and minimum in 16 bits each, then 16 numbers in the lower halves of 16 bytes, 16 in the upper."""
    numbers = np.concatenate([raw[..., 4:] & 15, raw[..., 4:] >> 4], axis=-1)
    return Blocks(numbers, _half(raw[..., :2]), _half(raw[..., 2:4]), bits=4)


def _q4_0(raw: np.ndarray) -> Blocks:
    """As Q4_1, without a minimum: the number 8 is zero."""
    numbers, scales = np.concatenate([raw[..., 2:] & 15, raw[..., 2:] >> 4], axis=-1), _half(raw[..., :2])
    return Blocks(numbers, scales, -8 * scales, bits=4)


def _q8_0(raw: np.ndarray) -> Blocks:
    """A scale in 16 bits, then 32 numbers from -128 to 127."""
    scales = _half(raw[..., :2])
    return Blocks(raw[..., 2:] ^ 128, scales, -128 * scales, bits=8)


_READERS = {"Q4_0": (18, _q4_0), "Q4_1": (20, _q4_1), "Q8_0": (34, _q8_0)}  # bytes of a block, and their reader


def _half(raw: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(raw).view(np.float16)[..., 0].astype(np.float32)


def stacked(parts: list[Blocks]) -> Blocks:
    """Matrices that read the same input, as one: their rows below each other."""
    fields = (np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "scales", "minimums"))
    return Blocks(*fields, bits=parts[0].bits)


def with_rotary_halves(matrix: Blocks, heads: int) -> Blocks:
    fields = (rotary_halves(field, heads) for field in (matrix.numbers, matrix.scales, matrix.minimums))
    return Blocks(*fields, bits=matrix.bits)


def rotary_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """GGUF keeps both rows of a rotary pair side by side; the runtimes want all the first ones, then the others."""
    pairs = rows.reshape(heads, len(rows) // heads // 2, 2, *rows.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)

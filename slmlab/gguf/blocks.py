"""The quantized blocks of a GGUF file as they are: small integers, and the scale and minimum of each 32 of them."""

from dataclasses import dataclass

import numpy as np

from slmlab.errors import NotHere

SIZE = 32  # weights in a block
# bits of a number, and bytes before the numbers of a block: a scale of 16 bits, and a minimum where there is one
KINDS = {"Q4_0": (4, 2), "Q4_1": (4, 4), "Q8_0": (8, 2)}


@dataclass(frozen=True)
class Blocks:
    """A matrix in blocks along its rows: weight = scale * number + minimum."""

    numbers: np.ndarray  # [rows, blocks, 32], 0 to 2 ** bits - 1
    scales: np.ndarray  # [rows, blocks]
    minimums: np.ndarray  # [rows, blocks]
    bits: int

    @property
    def shape(self) -> tuple[int, int]:
        rows, blocks, _ = self.numbers.shape
        return rows, blocks * SIZE


def read_blocks(tensor) -> Blocks:
    """The blocks of a tensor of gguf's reader, which can only dequantize them."""
    kind = tensor.tensor_type.name
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise NotHere(f"{tensor.name} is quantized as {kind}. Blocks are carried over as they are from {known}.")
    bits, head = KINDS[kind]
    columns, rows = (int(size) for size in tensor.shape)
    raw = tensor.data.reshape(rows, columns // SIZE, head + SIZE * bits // 8)
    scales, numbers = _half(raw[..., :2]), raw[..., head:]
    if bits == 8:  # from -128 to 127
        return Blocks(numbers ^ 128, scales, -128 * scales, bits)
    numbers = np.concatenate([numbers & 15, numbers >> 4], axis=-1)  # 16 in the lower halves of the bytes, 16 above
    minimums = _half(raw[..., 2:4]) if head == 4 else -8 * scales  # without one, the number 8 is zero
    return Blocks(numbers, scales, minimums, bits)


def _half(raw: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(raw).view(np.float16)[..., 0].astype(np.float32)


def stacked(parts: list[Blocks]) -> Blocks:
    """Matrices that read the same input, as one: their rows below each other."""
    arrays = zip(*((part.numbers, part.scales, part.minimums) for part in parts), strict=True)
    return Blocks(*map(np.concatenate, arrays), bits=parts[0].bits)


def with_rotary_halves(matrix: Blocks, heads: int) -> Blocks:
    fields = (rotary_halves(field, heads) for field in (matrix.numbers, matrix.scales, matrix.minimums))
    return Blocks(*fields, bits=matrix.bits)


def rotary_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """GGUF keeps both rows of a rotary pair side by side; the runtimes want all the first ones, then the others."""
    pairs = rows.reshape(heads, len(rows) // heads // 2, 2, *rows.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)

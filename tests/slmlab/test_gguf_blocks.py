"""blocks: a GGUF file's numbers, scales and minimums as they are."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import quants

from slmlab.errors import NotHere
from slmlab.gguf.blocks import read_blocks, stacked, with_rotary_halves


class Tensor:
    """What is used of a tensor of gguf's reader: whose shape names the columns first."""

    name = "blk.0.ffn_up.weight"

    def __init__(self, values: np.ndarray, kind: Kind):
        self.tensor_type, self.shape = kind, values.shape[::-1]
        self.data = quants.quantize(values, kind)


def drawn(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0.3, 1, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q8_0])
def test_the_blocks_give_the_weights_that_gguf_itself_gives(kind):
    tensor = Tensor(drawn(6, 96), kind)
    blocks = read_blocks(tensor)
    assert (blocks.rows, blocks.columns) == (6, 96) and blocks.numbers.max() < 2**blocks.bits
    np.testing.assert_allclose(blocks.weights(), quants.dequantize(tensor.data, kind), rtol=0, atol=1e-6)


def test_another_quantization_is_refused_with_the_supported_ones():
    with pytest.raises(NotHere, match="quantized as Q5_0.*Q4_0, Q4_1, Q8_0"):
        read_blocks(Tensor(drawn(4, 64), Kind.Q5_0))


def test_matrices_of_one_input_are_stacked_row_under_row():
    upper, lower = (read_blocks(Tensor(drawn(rows, 64), Kind.Q4_1)) for rows in (3, 5))
    np.testing.assert_array_equal(stacked([upper, lower]).weights(), np.concatenate([upper.weights(), lower.weights()]))


def test_the_rows_of_rotary_pairs_are_sorted_into_halves():
    matrix = read_blocks(Tensor(drawn(8, 32), Kind.Q4_1))
    order = [0, 2, 1, 3, 4, 6, 5, 7]  # two heads of four rows: first, second, first, second
    np.testing.assert_array_equal(with_rotary_halves(matrix, heads=2).weights(), matrix.weights()[order])

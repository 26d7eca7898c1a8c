"""engines/batch_model: which models are read side by side, and what a folder that is none says."""

import numpy as np
import pytest

from endpoint.batch.model import BatchModel, can_batch
from slmlab.errors import NotHere


def test_what_can_be_batched_is_read_from_the_folder(tiny_onnx_folder, tiny_folder, tmp_path):
    assert can_batch(tiny_onnx_folder)
    assert not can_batch(tiny_folder) and not can_batch(tmp_path)
    (tmp_path / "genai_config.json").write_text("{")
    assert not can_batch(tmp_path)
    with pytest.raises(NotHere, match="genai_config.json"):
        BatchModel(tmp_path)


def test_rows_of_different_lengths_are_read_in_one_run(tiny_onnx_folder):
    model = BatchModel(tiny_onnx_folder, threads=1)
    alone, logits = model.memory(1, 32), []
    for ids in ([5, 6, 7], [9]):
        alone.lengths[0] = 0
        model.forward(alone, 0, np.asarray([ids]))
        alone.lengths[0] = len(ids)
        logits.append(model.forward(alone, 0, np.asarray([[3]]))[0, -1])
    both = model.memory(2, 32)
    for row, ids in enumerate(([5, 6, 7], [9])):
        model.forward(both, row, np.asarray([ids]))
        both.lengths[row] = len(ids)
    found = model.forward(both, 0, np.asarray([[3], [3]]))
    assert np.array_equal(found[0, -1], logits[0]) and np.array_equal(found[1, -1], logits[1])

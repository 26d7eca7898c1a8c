"""Which models are read side by side, and how rows of one run keep to themselves."""

import numpy as np

from endpoint.batch.model import BatchModel, can_batch


def test_what_can_be_batched_is_read_from_the_folder(tiny_onnx_folder, tiny_folder, tmp_path):
    assert can_batch(tiny_onnx_folder)
    assert not can_batch(tiny_folder) and not can_batch(tmp_path)
    (tmp_path / "genai_config.json").write_text("{")
    assert not can_batch(tmp_path)


def test_rows_of_different_lengths_are_read_in_one_run(tiny_onnx_folder):
    model = BatchModel(tiny_onnx_folder, threads=1)
    alone, logits = model.memory(2, 32), []
    for ids in ([5, 6, 7], [9]):
        alone.lengths[:] = 0
        model.forward(alone, 0, np.asarray([ids]))
        alone.lengths[0] = len(ids)
        step = np.full((model.fewest_rows, 1), 3)
        logits.append(model.forward(alone, 0, step)[0, -1].copy())
    both = model.memory(2, 32)
    for row, ids in enumerate(([5, 6, 7], [9])):
        model.forward(both, row, np.asarray([ids]))
        both.lengths[row] = len(ids)
    found = model.forward(both, 0, np.asarray([[3], [3]]))
    assert np.array_equal(found[0, -1], logits[0]) and np.array_equal(found[1, -1], logits[1])


def test_a_step_of_the_bundled_model_is_as_wide_as_its_kernel_wants(bundled):
    """Measured on an AMD EPYC with AVX2 alone: a lone row in q4 takes another kernel, and needs a neighbour; on Intel
    with AVX-512 VNNI it doesn't. On both, rows beside a neighbour are the same to the bit however many there are."""
    model = BatchModel(bundled.folder)
    cache = model.memory(4, 16)
    step = np.asarray([[1], [20], [300], [4000]])
    together = model.forward(cache, 0, step).copy()
    for count in range(model.fewest_rows, 4):
        assert np.array_equal(model.forward(cache, 0, step[:count]), together[:count]), f"{count} rows of 4"
    if model.fewest_rows == 2:
        assert not np.array_equal(model.forward(cache, 0, step[:1]), together[:1]), "else a neighbour is wasted"

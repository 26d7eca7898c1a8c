"""Which models are read side by side, and how rows of one run keep to themselves."""

import json

import numpy as np

from endpoint.batch.model import BatchModel, can_batch


def test_what_can_be_batched_is_read_from_the_folder(tiny_onnx_folder, tmp_path):
    assert can_batch(tiny_onnx_folder)
    for wrong in ({"type": "phi"}, {"type": "llama", "context_length": 131_072}):
        (tmp_path / "genai_config.json").write_text(json.dumps({"model": wrong}))
        assert not can_batch(tmp_path)


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

"""onnx_file: a graph whose weights lie in the file beside it, computed by the runtime."""

from contextlib import closing

import numpy as np
import pytest

from slmlab.gguf.graph import DATA, OnnxFile

FLOAT = 1
BIG = np.arange(512, dtype=np.float32).reshape(1, 512)  # 2 kB: beside the graph
SIDES = ([("x", FLOAT, [1, 512])], [("y", FLOAT, None)])


def result(folder, graph: str) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / graph, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": np.ones((1, 512), np.float32)})[0]


@pytest.fixture
def file(tmp_path):
    with closing(OnnxFile(tmp_path)) as opened:
        yield opened


def test_large_weights_lie_in_the_data_file_and_small_ones_in_the_graph(file, tmp_path):
    file.node("Mul", ["x", file.constant("big", BIG)], "scaled")
    file.node("Add", ["scaled", file.constant("small", np.float32([2]))], "y")
    file.save("model.onnx", *SIDES)
    np.testing.assert_array_equal(result(tmp_path, "model.onnx"), BIG + 2)
    assert (tmp_path / DATA).stat().st_size == BIG.nbytes


def test_a_weight_is_written_once_and_each_begins_at_a_round_place(file, tmp_path):
    first = file.constant("first", np.ones((1, 511), np.float32))  # an odd length
    assert file.constant("first", BIG) == first
    file.node("Mul", ["x", file.constant("big", BIG)], "y")
    file.save("model.onnx", *SIDES)
    np.testing.assert_array_equal(result(tmp_path, "model.onnx"), BIG)
    assert (tmp_path / DATA).stat().st_size == 2048 + BIG.nbytes


def test_a_node_of_the_same_output_takes_the_place_of_the_one_before(file, tmp_path):
    file.node("Mul", ["x", file.constant("big", BIG)], "scaled")
    file.node("Neg", ["scaled"], "y")
    file.save("one.onnx", *SIDES)
    file.node("Identity", ["x"], "scaled")
    file.save("other.onnx", *SIDES)
    np.testing.assert_array_equal(result(tmp_path, "one.onnx"), -BIG)
    np.testing.assert_array_equal(result(tmp_path, "other.onnx"), -np.ones_like(BIG))


def test_the_runtimes_own_operators_are_written_with_their_owner(file, tmp_path):
    file.node("runtime:QuickGelu", ["x"], "y", alpha=1.0)
    file.save("model.onnx", *SIDES)
    np.testing.assert_allclose(result(tmp_path, "model.onnx"), 1 / (1 + np.exp(-1)), rtol=1e-5)

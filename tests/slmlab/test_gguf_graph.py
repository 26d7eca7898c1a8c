"""llama_graph: a GGUF file's blocks compute in ONNX Runtime what they compute in Transformers."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from slmlab.errors import NotHere
from slmlab.gguf import graph as llama_graph
from slmlab.gguf.convert import gguf_to_onnx, gguf_to_transformers
from tests.tiny_gguf import SIZES, write_tiny_gguf

IDS = np.random.default_rng(3).integers(3, 90, 40)


def made(target, source):
    target.mkdir()
    gguf_to_onnx(source, target)
    return target


def logits_of(folder, graph: str = "every.onnx") -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / graph, providers=["CPUExecutionProvider"])
    empty = np.zeros((1, SIZES["kv_heads"], 0, SIZES["hidden"] // SIZES["heads"]), np.float32)
    given = {one.name: empty for one in session.get_inputs() if one.name.startswith("past")}
    given |= {"input_ids": IDS[None], "attention_mask": np.ones((1, len(IDS)), np.int64)}
    return session.run([session.get_outputs()[0].name], given)[0][0]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory) -> np.ndarray:
    return unpacked_logits(tmp_path_factory.mktemp("transformers"), source)


def unpacked_logits(target, source) -> np.ndarray:
    import torch
    from transformers import AutoModelForCausalLM

    gguf_to_transformers(source, target)
    with torch.inference_mode():
        return AutoModelForCausalLM.from_pretrained(target)(torch.tensor(IDS[None])).logits[0].numpy()


def away(found: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean square difference, in shares of the spread of what is expected."""
    return float(np.sqrt(((found - expected) ** 2).mean()) / expected.std())


def test_the_logits_are_those_of_the_unpacked_weights(source, expected, tmp_path):
    assert away(logits_of(made(tmp_path / "onnx", source)), expected) < 0.03


def test_without_the_rests_they_are_not(source, expected, tmp_path, monkeypatch):
    """What the longer input is for: zeros rounded to whole numbers alone are far off."""
    rounded = llama_graph._rounded
    monkeypatch.setattr(llama_graph, "_rounded", lambda values, bits: rounded(values * 0, bits))
    assert away(logits_of(made(tmp_path / "onnx", source)), expected) > 0.1


def test_the_graph_for_writing_gives_the_last_of_the_logits_of_the_other(source, tmp_path):
    folder = made(tmp_path / "onnx", source)
    every, last = logits_of(folder), logits_of(folder, "model.onnx")
    assert last.shape == (1, every.shape[1])
    np.testing.assert_array_equal(last[0], every[-1])


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0])
def test_blocks_with_a_whole_number_for_zero_need_no_longer_input(tmp_path, kind):
    folder = made(tmp_path / "onnx", write_tiny_gguf(tmp_path / "tiny.gguf", matrices=kind))
    assert b"AveragePool" not in (folder / "model.onnx").read_bytes()
    (tmp_path / "transformers").mkdir()
    assert away(logits_of(folder), unpacked_logits(tmp_path / "transformers", tmp_path / "tiny.gguf")) < 0.03


def test_the_engine_writes_with_one_graph_and_weighs_with_the_other(source, tmp_path):
    from slmlab.catalog import card_of_folder
    from slmlab.engines.onnx import OnnxEngine

    folder = made(tmp_path / "onnx", source)
    engine = OnnxEngine(card_of_folder(folder), folder, "q4")
    text = "Which-way-is-it?"
    likeliest = engine.next_token_probabilities(text, top=1)[0]
    assert engine.top1(text)[-1] == likeliest.id
    assert engine.complete(text, max_tokens=1).text == likeliest.text
    assert len(engine.logprobs(text)) == len(engine.tokens(text))


def test_an_embedding_that_the_kernel_does_not_read_is_refused(tmp_path):
    source = write_tiny_gguf(tmp_path / "tiny.gguf", embedding=Kind.Q4_1)
    with pytest.raises(NotHere, match="Q8_0"):
        made(tmp_path / "onnx", source)


def test_a_file_of_another_family_is_refused(tmp_path):
    with pytest.raises(NotHere, match="gptj model with the tokenizer smollm.*Llama-shaped"):
        made(tmp_path / "onnx", write_tiny_gguf(tmp_path / "tiny.gguf", architecture="gptj"))

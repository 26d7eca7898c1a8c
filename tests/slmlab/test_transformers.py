"""engines/transformers: what is Transformers' own."""

import numpy as np
import pytest
import torch

from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine
from slmlab.errors import BadRequest, NotHere
from tests.conftest import write_tiny_model


def test_greedy_is_what_transformers_generates_itself(tiny_transformers):
    ids = tiny_transformers.format.ids("hello there")
    expected = tiny_transformers._model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=20, do_sample=False
    )[0, len(ids) :].tolist()
    assert [token.id for token in tiny_transformers.complete("hello there", max_tokens=20)] == expected


def test_attentions_look_back_only_and_sum_to_one(tiny_transformers):
    pieces, layers = tiny_transformers.attentions("hello")
    assert [piece.text for piece in pieces] == list("hello")
    assert layers.shape == (2, 4, 5, 5) and np.allclose(layers.sum(-1), 1, atol=1e-5)
    assert np.all(np.triu(layers, k=1) == 0), "no token sees a later one"


def test_attentions_leave_the_fast_path_as_it_was(tiny_transformers):
    before = tiny_transformers._model.config._attn_implementation
    tiny_transformers.attentions("hello")
    assert tiny_transformers._model.config._attn_implementation == before != "eager"


def test_bf16_answers_with_half_the_memory(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "llama")
    model = TransformersEngine(card_of_folder(folder), folder, "bf16")
    assert model._model.dtype == torch.bfloat16 and model.complete("a", max_tokens=2).tokens is not None


def test_a_quantized_precision_points_to_the_other_engine(tiny_folder):
    with pytest.raises(BadRequest, match="engine='onnx'"):
        TransformersEngine(card_of_folder(tiny_folder), tiny_folder, "int4")


def test_truncated_weights_are_refused_and_named(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "llama")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(NotHere, match="can't load"):
        TransformersEngine(card_of_folder(folder), folder, "fp32")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_gives_the_tokens_of_the_cpu(tiny_folder, tiny_transformers):
    model = TransformersEngine(card_of_folder(tiny_folder), tiny_folder, "fp32", device="cuda")
    assert [t.id for t in model.ask("hi", max_tokens=8)] == [t.id for t in tiny_transformers.ask("hi", max_tokens=8)]

"""engines/quantized: quantized loading that would pass over a mixture's experts is refused, whoever asks for it."""

import json

import pytest

import slmlab
from slmlab.catalog import card
from slmlab.engines.transformers import as_dict, in_memory_as, plan, refuse_skipped_experts, refuse_untouched_experts
from slmlab.errors import BadRequest, NotHere
from tests.conftest import write_tiny_model

BITS4 = {"quant_method": "bitsandbytes", "load_in_4bit": True}
EXPERTS = r"re:.*\.mlp\.experts\.(gate_up|down)_proj"


def torchao(patterns: dict) -> dict:
    """As TorchAoConfig(FqnToConfig(...)).to_dict() gives it."""
    inside = {"_type": "FqnToConfig", "_version": 1, "_data": {"fqn_to_config": patterns}}
    return {"quant_method": "torchao", "quant_type": {"default": inside}, "modules_to_not_convert": ["experts"]}


INT8 = {"_type": "Int8WeightOnlyConfig", "_version": 2, "_data": {}}


@pytest.mark.parametrize(
    "quantization",
    [
        BITS4, {"quant_method": "bitsandbytes", "load_in_8bit": True}, {"quant_method": "hqq"}, {"quant_method": "awq"},
        {"quant_method": "something new"}, {"quant_method": "torchao", "quant_type": {"default": INT8}},
        torchao({r"re:.*self_attn.*": INT8}), torchao({EXPERTS: None}), {"quant_method": "mxfp4"},
        torchao({r"re:.*shared_experts.*": INT8}), torchao({r"re:.*experts\.down_proj": INT8}),
        torchao({r"re:.*experts.*weight": INT8}), torchao({"re:[": INT8}),
        {"quant_method": "fp8", "modules_to_not_convert": ["mlp.experts"]},
        {"quant_method": "fp8", "modules_to_not_convert": "experts"},
        {"quant_method": "fp8", "modules_to_not_convert": ["model.layers"]},
        {"quant_method": "fp8", "modules_to_not_convert": [r".*\.mlp.*"]}, {"quant_method": "gguf"},
    ],
)  # fmt: skip
def test_what_is_not_known_to_quantize_experts_is_refused_with_the_way_that_works(quantization):
    with pytest.raises(BadRequest, match="96% of the parameters.*FqnToConfig.*llama.cpp"):
        refuse_skipped_experts(quantization, card("phi-3.5-moe").architecture)


@pytest.mark.parametrize(
    ("quantization", "family"),
    [(torchao({EXPERTS: INT8}), None), ({"quant_method": "fp8"}, None), ({"quant_method": "mxfp4"}, "gpt_oss")],
)
def test_what_quantizes_experts_is_let_through(quantization, family):
    refuse_skipped_experts(quantization, family=family)


def test_transformers_own_configurations_are_read_as_well_as_dicts():
    from transformers import FineGrainedFP8Config

    assert as_dict(FineGrainedFP8Config())["quant_method"] == "fp8"
    for wrong in ("4bit", 4, {}, {"load_in_4bit": True}, FineGrainedFP8Config):
        with pytest.raises(BadRequest, match="quant_method"):
            as_dict(wrong)


def test_the_size_that_is_planned_for():
    assert in_memory_as(BITS4) == "int4" and in_memory_as(torchao({EXPERTS: INT8})) == "int8"
    for four in ({"quant_method": "hqq", "nbits": 4}, {"quant_method": "gptq", "bits": "4"}, {"quant_method": "mxfp4"}):
        assert in_memory_as(four) == "int4"


def test_experts_that_were_passed_over_after_all_are_seen_in_the_model(tiny_mixture, tiny_transformers):
    with pytest.raises(BadRequest, match="torchao passed over model.layers.0.mlp.experts.gate_up_proj"):
        refuse_untouched_experts(tiny_mixture._model, "torchao")
    refuse_untouched_experts(tiny_transformers._model, "torchao")
    refuse_untouched_experts(tiny_mixture._model, "fp8")


def test_a_folder_saved_by_such_a_quantizer_is_refused_before_its_weights_are_read(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "phimoe")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"quantization_config": BITS4}))
    (folder / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(BadRequest, match="would leave the experts"):
        slmlab.load(folder)


def test_a_folder_is_loaded_as_it_is_where_nothing_is_asked(tiny_folder):
    assert plan(tiny_folder, None, "cpu") == plan(tiny_folder / "nowhere", None, "cpu") == (None, {})


def test_experts_in_torchao_run_one_by_one(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "phimoe")
    asked = torchao({EXPERTS: INT8})
    options = {"quantization_config": asked, "experts_implementation": "eager"}
    assert plan(folder, asked, "cpu") == ("torchao", options)
    assert plan(folder, asked, "cuda") == ("torchao", options | {"device_map": "cuda"})


@pytest.mark.parametrize("name", ["phi-3.5-moe", "tiny-moe"])
def test_load_refuses_for_a_model_of_the_catalog_before_anything_is_fetched(name):
    with pytest.raises(BadRequest, match="bitsandbytes would leave the experts"):
        slmlab.load(name, quantization=BITS4)


def test_a_quantization_and_a_precision_of_onnx_do_not_go_together():
    for choice in ({"engine": "onnx"}, {"precision": "int4"}):
        with pytest.raises(BadRequest, match="engine='transformers'"):
            slmlab.load("phi-3.5-mini", quantization=BITS4, **choice)


def test_a_quantizer_that_is_not_installed_is_named(tiny_folder):
    pytest.importorskip("transformers")
    with pytest.raises(NotHere, match="(?i)hqq"):
        slmlab.load(tiny_folder, quantization={"quant_method": "hqq", "nbits": 4})


def test_the_mixture_in_four_bits_says_why_not_and_falls_back(capsys):
    with slmlab.load("phi-3.5-moe", precision="int4", download=False) as model:
        assert model.name == "smollm2-135m"
    assert "its experts must be named" in capsys.readouterr().out

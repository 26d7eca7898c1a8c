"""engines/transformers: quantized loading that would pass over a mixture's experts is refused, whoever asks for it."""

import pytest

import slmlab
from slmlab.catalog import card
from slmlab.engines.transformers import as_dict, refuse_skipped_experts, refuse_untouched_experts
from slmlab.errors import BadRequest


def test_a_method_that_reaches_no_experts_is_refused_with_the_way_that_works():
    shape = card("phi-3.5-moe").architecture
    for method in ("bitsandbytes", "hqq", "something new"):
        with pytest.raises(BadRequest, match="96% of the parameters.*FqnToConfig.*llama.cpp"):
            refuse_skipped_experts({"quant_method": method}, shape)
    refuse_skipped_experts({"quant_method": "torchao"}, shape)


def test_load_refuses_for_a_model_of_the_catalog_before_anything_is_fetched():
    for name in ("phi-3.5-moe", "tiny-moe"):
        with pytest.raises(BadRequest, match="bitsandbytes would leave the experts"):
            slmlab.load(name, quantization={"quant_method": "bitsandbytes", "load_in_4bit": True})


def test_experts_that_were_passed_over_after_all_are_seen_in_the_model(tiny_mixture, tiny_transformers):
    with tiny_mixture.exclusive() as mixture, tiny_transformers.exclusive() as dense:
        with pytest.raises(BadRequest, match="torchao passed over model.layers.0.mlp.experts.gate_up_proj"):
            refuse_untouched_experts(mixture, "torchao")
        refuse_untouched_experts(dense, "torchao")
        refuse_untouched_experts(mixture, "fp8")  # a CPU unpacks it, and Transformers says so


def test_transformers_own_configurations_are_read_as_well_as_dicts():
    from transformers import FineGrainedFP8Config

    assert as_dict(FineGrainedFP8Config())["quant_method"] == "fp8"
    for wrong in ("4bit", {"load_in_4bit": True}):
        with pytest.raises(BadRequest, match="quant_method"):
            as_dict(wrong)

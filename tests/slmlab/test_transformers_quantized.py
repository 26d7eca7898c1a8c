"""engines/transformers: quantized loading that would pass over a mixture's experts is refused, whoever asks for it."""

import pytest

import slmlab
from slmlab.catalog import card
from slmlab.engines.transformers import method_of, refuse_skipped_experts
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


def test_transformers_own_configurations_are_read_as_well_as_dicts():
    from transformers import FineGrainedFP8Config

    assert method_of(FineGrainedFP8Config()) == "fp8"
    for wrong in ("4bit", {"load_in_4bit": True}):
        with pytest.raises(BadRequest, match="quant_method"):
            method_of(wrong)

"""architecture: the arithmetic against the real classes, built without memory on torch's meta device."""

import pytest

from slmlab.catalog import DATA, Architecture, cards, is_mixture
from slmlab.errors import BadRequest

NATIVE = [one for one in cards().values() if one.native]
# What Phi-4-multimodal's checkpoint sets beside its class's defaults, and its LoRAs, which are no part of the class.
SPEECH_BIAS_DISTANCE = 500


def real_model(card, layers=None):
    """The class of Transformers that runs the card's weights, in the card's shape, in no memory at all."""
    import torch
    import transformers

    shape = card.architecture
    settings = {
        "vocab_size": shape.vocab, "hidden_size": shape.hidden, "intermediate_size": shape.ffn,
        "num_hidden_layers": layers or shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "tie_word_embeddings": shape.tied, "pad_token_id": 0,
    }  # fmt: skip
    if card.native == "PhimoeForCausalLM":
        settings |= {"num_local_experts": shape.experts, "num_experts_per_tok": shape.experts_per_token}
        settings |= {"attention_bias": shape.attention_bias, "lm_head_bias": shape.head_bias}
    if card.native == "Phi4MultimodalForCausalLM":
        settings["audio_config"] = {"bias_max_distance": SPEECH_BIAS_DISTANCE}
    kind = getattr(transformers, card.native)
    config = kind.config_class(**settings)
    if card.native == "LlavaForConditionalGeneration":  # its text model's shape is the card's, the encoder's its own
        own = kind.config_class.from_pretrained(DATA / card.shipped.folder)
        text = own.text_config.to_dict() | settings
        config = kind.config_class(vision_config=own.vision_config, text_config=text, tie_word_embeddings=shape.tied)
    with torch.device("meta"):
        return kind(config)


@pytest.mark.parametrize("card", NATIVE, ids=lambda card: card.id)
def test_parameters_equal_those_of_the_real_class_to_the_last_one(card):
    counted = sum(weight.numel() for weight in real_model(card).parameters())
    loras = sum(part.parameters for part in card.architecture.parts if "LoRA" in part.name)
    assert card.parameters - loras == counted


@pytest.mark.parametrize("card", [one for one in NATIVE if one.kind in ("text", "moe")], ids=lambda card: card.id)
def test_the_kv_cache_per_token_is_what_the_real_cache_holds(card):
    import torch

    model = real_model(card, layers=2).to(torch.bfloat16)
    with torch.device("meta"):
        cache = model(torch.zeros((1, 5), dtype=torch.long), use_cache=True).past_key_values
    held = sum(part.numel() * part.element_size() for layer in cache.layers for part in (layer.keys, layer.values))
    assert card.kv_bytes_per_token("bf16") == held / 5 / 2 * card.architecture.layers


def test_active_parameters_leave_out_the_experts_that_one_token_does_not_reach():
    import torch

    card = cards()["phi-3.5-moe"]
    experts = real_model(card, layers=1).model.layers[0].mlp.experts
    one_expert = sum(weight[0].numel() for weight in experts.parameters())
    assert one_expert == card.architecture.expert_parameters
    assert card.parameters - card.active_parameters == 32 * 14 * one_expert
    assert isinstance(experts.gate_up_proj, torch.nn.Parameter), "the experts are counted from fused weights"


def test_loras_are_rank_times_in_and_out_of_every_linear_layer():
    shape = cards()["phi-4-multimodal"].architecture
    keys = shape.kv_heads * shape.head_size
    sides = (shape.hidden + shape.hidden + 2 * keys) + 2 * shape.hidden  # fused q, k, v; then the output
    sides += (shape.hidden + 2 * shape.ffn) + (shape.ffn + shape.hidden)  # fused gate and up; then down
    loras = {part.name.split(",")[0]: part.parameters for part in shape.parts if "LoRA" in part.name}
    assert loras == {"image LoRA": 256 * shape.layers * sides, "speech LoRA": 320 * shape.layers * sides}


def test_the_image_encoder_of_phi_vision_is_the_real_clip():
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
    )
    with torch.device("meta"):
        counted = sum(weight.numel() for weight in CLIPVisionModel(config).parameters())
    encoder, projector = cards()["phi-3.5-vision"].architecture.parts
    assert encoder.parameters == counted
    assert projector.parameters == (4096 * 3072 + 3072) + (3072 * 3072 + 3072) + 2 * 4096


def test_quantized_sizes_are_those_of_the_files_that_the_builder_wrote():
    """The tensors in the bundled model's ONNX files, added up: int4 86.3 MB and int8 266.8 MB on disk with 2 MB of
    rotary tables that are no weights."""
    shape = cards()["smollm2-135m"].architecture
    assert shape.weight_bytes("int4", shared_embedding=True) == 67_239_936 + 16_809_984 + 140_544
    assert shape.weight_bytes("int8") == 134_479_872 + 16_809_984 + 113_386_752


def test_a_published_int4_file_is_within_a_hundredth_of_the_computed_size():
    card = cards()["phi-3-mini"]
    published = card.weight_size("int4")
    assert published.published
    assert card.architecture.weight_bytes("int4") == pytest.approx(published.bytes, rel=0.01), "rounded to MB"


def test_a_larger_block_needs_fewer_scales():
    shape = cards()["phi-3-mini"].architecture
    assert shape.weight_bytes("int4", block=128) < shape.weight_bytes("int4", block=32) < shape.weight_bytes("int8")


def test_a_sliding_window_does_not_change_what_a_token_costs():
    plain = Architecture(2, 64, 4, 2, 128, 100)
    assert Architecture(2, 64, 4, 2, 128, 100, sliding_window=16).kv_bytes_per_token() == plain.kv_bytes_per_token()


@pytest.mark.parametrize(
    "call", [lambda shape: shape.weight_bytes("int3"), lambda shape: shape.kv_bytes_per_token("q4")]
)
def test_an_unknown_precision_is_refused_with_the_known_ones(call):
    with pytest.raises(BadRequest, match="fp32"):
        call(Architecture(2, 64, 4, 2, 128, 100))


def test_a_token_reads_all_weights_of_a_tied_dense_model_once():
    shape = cards()["smollm2-135m"].architecture
    assert shape.read_bytes("fp32") == shape.weight_bytes("fp32")
    table = shape.embedding_parameters * 4  # int8 keeps a second table, in fp32, of which one row is read
    assert shape.read_bytes("int8") == shape.weight_bytes("int8") - table
    assert shape.read_bytes("int4") == shape.weight_bytes("int4", shared_embedding=True)


def test_a_token_passes_over_idle_experts_and_the_untied_table():
    moe, dense = cards()["phi-3.5-moe"].architecture, cards()["phi-3.5-mini"].architecture
    assert moe.read_bytes("bf16") == (moe.active_parameters - moe.embedding_parameters) * 2
    assert dense.read_bytes("bf16") == (dense.parameters - dense.embedding_parameters) * 2
    assert moe.read_bytes("int4") < moe.weight_bytes("int4") / 5
    with pytest.raises(BadRequest):
        dense.read_bytes("int2")


def test_the_share_of_the_experts_is_nothing_in_a_dense_model_and_nearly_all_of_a_mixture():
    assert cards()["phi-3.5-mini"].architecture.experts_share == 0
    assert cards()["phi-3.5-moe"].architecture.experts_share == pytest.approx(0.962, abs=0.001)


@pytest.mark.parametrize(
    ("settings", "mixture"),
    [
        ({"num_local_experts": 16}, True), ({"num_experts": 8}, True), ({"n_routed_experts": 64}, True),
        ({"text_config": {"num_experts": 4}}, True), ({"ffn_config": {"moe_num_experts": 16}}, True),
        ({"moe_num_experts": [64, 64]}, True), ({"num_local_experts": 1}, False), ({"hidden_size": 8}, False),
        ({"num_experts": None}, False),
    ],
)  # fmt: skip
def test_a_mixture_is_known_by_its_configuration(settings, mixture):
    assert is_mixture(settings) is mixture

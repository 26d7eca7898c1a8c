"""catalog: the facts file and its names, and the arithmetic against published figures and against the real classes."""

import tomllib
from dataclasses import asdict, replace
from typing import get_args

import pytest

from slmlab.catalog import DATA, GRADES, Card, benchmarks, card, card_of_folder, cards
from slmlab.errors import UnknownName

EVERY = list(cards().values())
NATIVE = [one for one in EVERY if one.native]
FACTS = tomllib.loads((DATA / "models.toml").read_text(encoding="utf-8"))
# What a checkpoint sets beside its class's defaults, and is no part of a card.
BESIDE = {
    "phi-3.5-moe": {"attention_bias": True, "lm_head_bias": True},
    "phi-4-multimodal": {"audio_config": {"bias_max_distance": 500}},
    "qwen3.5-0.8b": {"linear_num_value_heads": 16},
}
SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
SIGLIP |= {"image_size": 896, "patch_size": 14, "vision_use_head": False}  # Gemma's encoder


# The facts


INNER = {
    "published": {"as_stated", "parameters", "active_parameters", "rumour", "rumoured_parameters"},
    "training": {"data", "grade", "hardware", "cutoff"},
    "ids": {"hub", "hub_revision", "gguf", "ollama", "github", "foundry", "nvidia", "nim_image"},
    "onnx": {"repo", "folder"},
    "wheel": {"project", "version", "bytes", "file", "file_sha256"},
    "shipped": {"folder", "sha256", "made_by"},
    "downloads": {"form", "bytes", "source", "about"},
    "status": {"date", "text"},
    "sources": {"grade", "text", "url"},
}


def test_the_facts_have_no_key_or_word_that_nobody_reads():
    for id, facts in FACTS.items():
        assert card(id).kind in get_args(Card.__annotations__["kind"]), "Card itself refuses an unknown key"
        for key, known in INNER.items():
            for inner in facts[key] if isinstance(facts.get(key), list) else [facts.get(key, {})]:
                assert set(inner) <= known and inner.get("grade", "read") in GRADES, (id, key)
    assert all(row.source and row.publisher and row.grade in GRADES for row in benchmarks())


def test_every_card_has_sources_and_a_release_and_no_figure_is_zero():
    for one in EVERY:
        assert one.sources and one.released.year >= 2023, one.id
        sizes = asdict(one.architecture) if one.architecture else {"windowed": 0, "linear": 0}
        del sizes["windowed"], sizes["linear"]  # none of the layers
        assert 0 not in [value for value in sizes.values() if type(value) is int], "leave out what is unknown"


def test_no_two_models_share_a_name():
    ids = [vars(one.ids) for one in EVERY]
    offered = [[at.get(place) for place in ("hub", "gguf", "ollama", "github", "foundry", "nvidia")] for at in ids]
    names = [{one.id, one.name, *one.aliases, *at} - {None} for one, at in zip(EVERY, offered, strict=True)]
    assert sum(map(len, names)) == len(set().union(*names))


def test_a_card_is_found_by_any_of_its_names():
    for name in ("PHI-3.5-Mini", " phi3.5 ", "microsoft/Phi-3.5-mini-instruct", "Phi-3.5-mini-instruct"):
        assert card(name).id == "phi-3.5-mini"
    assert card(card("gpt-4")) is card("gpt-4")


def test_an_unknown_name_lists_the_near_ones_first():
    with pytest.raises(UnknownName, match="Unknown model 'phi-3.5-mni'. Available: phi-3.5-mini, "):
        card("phi-3.5-mni")


# Published figures


def test_computed_parameters_agree_with_the_published_figure():
    for one in [one for one in EVERY if one.published.parameters]:
        published = one.published.parameters
        rounded = published % 1_000_000 == 0  # to 135M, 7.39B or 41.9B: half a percent, else exactly
        assert one.parameters == (pytest.approx(published, rel=0.005) if rounded else published), one.id


def test_what_gpt_4_never_published_is_none_and_its_rumour_says_so():
    gpt = card("gpt-4")
    assert gpt.parameters is gpt.active_parameters is gpt.kv_bytes_per_token() is gpt.weight_bytes("bf16") is None
    assert "OpenAI never said" in gpt.published.rumour and "a rumour, no fact" in str(gpt)


def test_a_score_is_published_once_by_each_publisher():
    assert [row.better for row in benchmarks(benchmark="ASR word error rate")] == ["lower"]
    keys = [(row.model, row.benchmark, row.publisher) for row in benchmarks()]
    assert len(keys) == len(set(keys)), "once from each publisher"


# Sizes


def test_a_published_size_is_taken_before_a_computed_one():
    one, mini = card("phi-3.5-vision"), card("phi-3-mini")
    assert one.weight_bytes("bf16") == 8_290_000_000
    assert one.architecture.weight_bytes("bf16") == pytest.approx(8_290_000_000, rel=0.005), "rounded to 10 MB"
    assert mini.weight_bytes("int4") == pytest.approx(mini.architecture.weight_bytes("int4"), rel=0.01)


def test_quantized_sizes_are_those_of_the_files_that_the_builder_wrote():
    """The tensors in the bundled model's ONNX files, added up: int4 86.3 MB and int8 266.8 MB on disk with 2 MB of
    rotary tables that are no weights."""
    shape = card("smollm2-135m").architecture
    for precision, tensors in {"int4": 67_239_936 + 16_809_984, "int8": 134_479_872 + 16_809_984 + 113_386_752}.items():
        assert shape.weight_bytes(precision) == pytest.approx(tensors, rel=0.002), "norms are no matrices"


def test_a_token_reads_what_works_on_it_and_no_idle_expert_or_untied_table():
    shape = card("smollm2-135m").architecture
    assert shape.read_bytes("fp32") == shape.weight_bytes("fp32"), "a tied dense model is read whole"
    table = shape.embedding_parameters * 4  # int8 keeps a second table, in fp32, of which one row is read
    assert shape.read_bytes("int8") == shape.weight_bytes("int8") - table
    moe, dense = card("phi-3.5-moe").architecture, card("phi-3.5-mini").architecture
    assert moe.read_bytes("bf16") == (moe.active_parameters - moe.embedding_parameters) * 2
    assert dense.read_bytes("bf16") == (dense.parameters - dense.embedding_parameters) * 2


# How a card reads


def test_a_card_reads_as_text_and_as_a_table():
    text, html = str(card("phi-3.5-moe")), card("phi-3.5-moe")._repr_html_()
    for words in ("41.9 billion", "6.64 billion", "131,072 tokens", "2025-08-30"):
        assert words in text and words in html
    assert max(map(len, text.splitlines())) <= 100 and "Sources: read" in html and "Sources" not in text
    assert "data/models/tiny-moe, made by: python -m training.moe train" in str(card("tiny-moe"))


# A folder of one's own


def test_a_folder_of_ones_own_becomes_a_card_that_knows_what_its_config_says(tmp_path):
    assert card_of_folder(tmp_path).context is None
    for text, context in (
        ("not json", None), ('{"model_type": "mamba"}', None), ('{"max_position_embeddings": 512}', 512),
        ('{"text_config": {"max_position_embeddings": 64}}', 64),
    ):  # fmt: skip
        (tmp_path / "config.json").write_text(text)
        found = card_of_folder(tmp_path)
        assert (found.id, found.context, found.parameters) == (tmp_path.name, context, None), text


# Against the real classes, built without memory on torch's meta device


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
    settings |= {"head_dim": shape.head_size, "moe_intermediate_size": shape.ffn, "sliding_window": shape.window}
    settings |= {"num_local_experts": shape.experts, "num_experts_per_tok": shape.experts_per_token}
    kind = getattr(transformers, card.native)
    config = kind.config_class(**settings | BESIDE.get(card.id, {}))
    if card.native == "Gemma3ForConditionalGeneration":
        config = kind.config_class(vision_config=SIGLIP, text_config=settings)
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


def held(card, layers, tokens):
    import torch

    model = real_model(card, layers).to(torch.bfloat16)
    with torch.device("meta"):
        cache = model(torch.zeros((1, tokens), dtype=torch.long), use_cache=True).past_key_values
    kept = [part for layer in cache.layers if hasattr(layer, "keys") for part in (layer.keys, layer.values)]
    return sum(part.numel() * part.element_size() for part in kept)


@pytest.mark.parametrize("card", [one for one in NATIVE if one.kind in ("text", "moe")], ids=lambda card: card.id)
def test_the_kv_cache_per_token_is_what_the_real_cache_holds(card):
    group = 4 if card.architecture.linear else 2
    assert card.kv_bytes_per_token("bf16") == held(card, group, 5) / 5 / group * card.architecture.layers


def test_a_sliding_layer_keeps_no_more_than_its_window():
    gemma = card("gemma-3-270m")
    six = replace(gemma.architecture, layers=6, windowed=5)
    assert six.kv_bytes(2000) == pytest.approx(held(gemma, 6, 2000), rel=0.002), "Transformers keeps a token less"
    assert six.kv_bytes(500) == 500 * gemma.kv_bytes_per_token() / 3, "six layers of eighteen, and none is full yet"
    patterns = [(one.architecture, sum(one.architecture.pattern)) for one in EVERY if one.architecture]
    assert all(whole == shape.layers - shape.windowed - shape.linear for shape, whole in patterns)


def test_active_parameters_leave_out_the_experts_that_one_token_does_not_reach():
    moe = card("phi-3.5-moe")
    experts = real_model(moe, layers=1).model.layers[0].mlp.experts
    one_expert = sum(weight[0].numel() for weight in experts.parameters())
    assert one_expert == moe.architecture.expert_parameters
    assert moe.parameters - moe.active_parameters == 32 * 14 * one_expert

"""model_card: sizes and their provenance, and how a card reads."""

import dataclasses

import pytest

from slmlab.catalog import Card, Download, OnnxBuild, Published, card
from slmlab.errors import BadRequest


def test_a_published_size_is_taken_before_a_computed_one_and_says_so():
    size = card("phi-3.5-vision").weight_size("bf16")
    assert size.published and size.bytes == 8_290_000_000
    assert size.how == "published, rounded: two safetensors files of 4.94 and 3.35 GB"


def test_the_published_size_of_the_shards_agrees_with_the_computed_one():
    one = card("phi-3.5-vision")
    assert one.architecture.weight_bytes("bf16") == pytest.approx(one.weight_bytes("bf16"), rel=0.005), (
        "rounded to 10 MB"
    )


def test_a_size_in_another_form_is_not_mistaken_for_the_precision_asked_for():
    gguf_only = dataclasses.replace(card("phi-4-mini"), downloads=(Download("gguf-q4", 1, "elsewhere"),))
    assert not gguf_only.weight_size("int4").published


def test_the_block_of_the_published_build_decides_the_int4_size_alone():
    one = card("phi-3.5-mini")
    finer = dataclasses.replace(one, onnx=OnnxBuild("a/b", "c", block=32))
    assert one.weight_bytes("int4") < finer.weight_bytes("int4")
    assert one.weight_bytes("int8") == finer.weight_bytes("int8")


def test_every_smaller_precision_of_a_large_model_is_smaller():
    sizes = [card("mistral-7b").weight_bytes(one) for one in ("fp32", "bf16", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 2 * sizes[1]


def test_an_unknown_precision_is_refused_even_for_a_closed_model():
    with pytest.raises(BadRequest, match="Available: fp32, bf16, int8, int4"):
        card("gpt-4").weight_size("int3")


def test_a_card_reads_as_text_and_as_a_table():
    text, html = str(card("phi-3.5-moe")), card("phi-3.5-moe")._repr_html_()
    for words in ("41.9 billion", "6.64 billion", "131,072 tokens", "2025-08-30"):
        assert words in text and words in html
    assert max(map(len, text.splitlines())) <= 100


def test_html_of_a_card_is_escaped():
    odd = Card("x", "<script>", "me", "f", "text", "MIT", published=Published("?"), notes="a < b")
    assert "<script>" not in odd._repr_html_() and "a &lt; b" in odd._repr_html_()


def test_the_card_of_a_model_of_the_course_says_where_it_is_and_what_made_it():
    assert "data/models/tiny-moe, made by: python -m training.moe train" in str(card("tiny-moe"))

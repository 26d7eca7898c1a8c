"""convert: the bundled model's tokenizer and weights after their journey, against stored references."""

import json
from pathlib import Path

import pytest

from slmlab import weights
from slmlab.catalog import card

HERE = Path(__file__).parent / "reference"
REFERENCE = json.loads((HERE / "smollm2_tokens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_the_tokenizer_gives_the_reference_ids(bundled, case):
    """The ids were made by llama.cpp's own tokenizer from the same file (see reference/README.md)."""
    assert bundled.format.ids(case["text"]) == case["ids"]


def test_without_the_mended_step_the_reference_fails(bundled):
    """What the mending is for: the step left out, spaces before digits are cut differently."""
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import ByteLevel

    plain = Tokenizer.from_file(str(bundled.format.folder / "tokenizer.json"))
    plain.pre_tokenizer = ByteLevel(add_prefix_space=False)
    assert any(plain.encode(case["text"]).ids != case["ids"] for case in REFERENCE["cases"])


def test_both_engines_have_the_same_tokenizer(bundled):
    other = weights.folder(card("smollm2-135m"), "transformers")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (other / name).read_bytes() == (bundled.format.folder / name).read_bytes()


def test_the_weights_are_those_that_transformers_reads_itself(bundled):
    import hashlib

    from safetensors.numpy import load_file

    found = load_file(weights.folder(card("smollm2-135m"), "transformers") / "model.safetensors")
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + found[name].tobytes())
    assert digest.hexdigest() == json.loads((HERE / "smollm2_weights.json").read_text())["sha256"]


def test_no_system_prompt_is_slipped_in(bundled):
    assert bundled.prompt("Hi") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_bundled_model_knows_the_capital_of_france(bundled):
    assert "Paris" in bundled.ask("What is the capital of France?", max_tokens=20).text


def test_a_digit_is_a_token_of_its_own(bundled):
    assert [piece.text for piece in bundled.tokens("in 2024")] == ["in", " ", "2", "0", "2", "4"]

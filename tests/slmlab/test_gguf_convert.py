"""convert: the bundled model's tokenizer and weights after their journey, against stored references."""

import json
from pathlib import Path

import pytest

import slmlab
from slmlab import weights
from slmlab.catalog import DATA, card
from slmlab.measure import agreement, perplexity

HERE = Path(__file__).parents[1] / "reference"
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


def test_carried_over_as_they_are_the_files_blocks_tell_what_the_unpacked_weights_tell():
    """Nothing is rounded twice: the builder's int4 of the same weights has a perplexity a third higher."""
    text = (DATA / "texts" / "english.txt").read_text(encoding="utf-8")
    found = []
    for choice in ({"precision": "q4"}, {"engine": "transformers"}):
        with slmlab.load(**choice) as model:
            logprobs = [value for _, value in model.logprobs(text)]
            found.append((perplexity(logprobs), model.top1(text)))
    (carried, choices), (unpacked, expected) = found
    assert carried == pytest.approx(unpacked, rel=0.02) and agreement(choices, expected) > 0.93


def test_no_system_prompt_is_slipped_in(bundled):
    assert bundled.prompt("Hi") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_bundled_model_knows_the_capital_of_france(bundled):
    assert "Paris" in bundled.ask("What is the capital of France?", max_tokens=20).text


def test_a_digit_is_a_token_of_its_own(bundled):
    assert [piece.text for piece in bundled.tokens("in 2024")] == ["in", " ", "2", "0", "2", "4"]

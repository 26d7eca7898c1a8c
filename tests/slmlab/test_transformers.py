"""engines/transformers: the same answers as Transformers alone, whatever the place; damaged folders are refused."""

import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine
from slmlab.errors import NotHere, SlmLabError
from tests.conftest import ids_of, write_tiny_model


def opened(folder, *arguments, **options) -> TransformersEngine:
    return TransformersEngine(card_of_folder(folder), folder, *arguments, **options)


@pytest.fixture
def mixture_folder(tmp_path):
    return write_tiny_model(tmp_path / "m", "phimoe")


def rewrite(folder, change) -> None:
    """Change the tensors in a folder."""
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors) or tensors, folder / "model.safetensors", {"format": "pt"})


def test_greedy_is_what_the_five_lines_without_slmlab_write(tiny_transformers):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_transformers.folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_transformers.folder)
    messages = [{"role": "user", "content": "hello there"}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    made = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert ids_of(tiny_transformers.ask("hello there", max_tokens=20)) == made.tolist()


def test_a_model_that_is_split_answers_as_the_whole_one(tmp_path, capsys):
    folder = write_tiny_model(tmp_path / "m", "llama")
    with opened(folder) as whole:
        expected = ids_of(whole.ask("hello there", max_tokens=20))
    capsys.readouterr()
    places = dict.fromkeys(("model.embed_tokens", "model.rotary_emb", "lm_head"), "cpu")
    places |= dict.fromkeys(("model.layers.0", "model.layers.1", "model.norm"), "disk")
    with opened(folder, device=places) as split:
        said = capsys.readouterr().out
        assert said == "m is larger than one device, so it is split, and slower. Parts: 3 on cpu, 3 on disk.\n"
        assert ids_of(split.ask("hello there", max_tokens=20)) == expected
    with opened(folder, device="auto") as fitting:
        assert capsys.readouterr().out == "", "nothing is said where all of it is in one place"
        assert ids_of(fitting.ask("hello there", max_tokens=20)) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_gives_the_tokens_of_the_cpu(tiny_folder, tiny_transformers):
    expected = ids_of(tiny_transformers.ask("hi", max_tokens=8))
    for device in ("cuda", "auto"):
        with opened(tiny_folder, device=device) as model:
            assert ids_of(model.ask("hi", max_tokens=8)) == expected


# A damaged folder


def test_weights_that_are_cut_short_are_refused(mixture_folder):
    def lose(tensors):
        return {name: one for name, one in tensors.items() if "layers.1" not in name or "experts" not in name}

    rewrite(mixture_folder, lose)
    with pytest.raises(NotHere, match=r"lacks \d+ of the model's tensors.*layers.1.*Fetch it again"):
        opened(mixture_folder)
    weights = mixture_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(NotHere, match="can't load.*Fetch it again"):
        opened(mixture_folder)


def test_weights_that_are_no_numbers_are_named_wherever_they_show(mixture_folder):
    def spoil(tensors):
        tensors["model.layers.0.block_sparse_moe.gate.weight"][0, 0] = float("nan")

    rewrite(mixture_folder, spoil)
    model = opened(mixture_folder)
    for ask in (model.logprobs, model.complete, lambda text: model.complete(text, max_tokens=2, beams=2)):
        with pytest.raises(NotHere, match="NaN.*damaged"):
            list(ask("abc"))


def test_closing_waits_for_what_is_under_way_and_refuses_the_rest(mixture_folder):
    model, faults, begun = opened(mixture_folder), [], threading.Event()

    def ask():
        try:
            while True:
                model.logprobs("abc")
                begun.set()
        except Exception as fault:  # whatever it is, it is looked at below
            faults.append(fault)

    asker = threading.Thread(target=ask)
    asker.start()
    begun.wait(30)
    model.close()
    asker.join(timeout=10)
    assert [type(fault) for fault in faults] == [SlmLabError] and "was closed" in str(faults[0])

"""loading: which model answers, and what is said about it."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import slmlab
from slmlab import loading, weights
from slmlab.engines.transformers import method_of
from slmlab.errors import BadRequest, NotHere, UnknownName
from slmlab.loading import plan
from slmlab.machine import machine
from slmlab.measure import agreement
from tests.conftest import write_tiny_model
from tests.tiny_gguf import write_tiny_gguf

GB = 10**9


@pytest.fixture
def on(own_cache, monkeypatch):
    """Puts the planning on another machine, where every folder is there and none is fetched."""

    def put(ram_gb=16, vram_gb=None, **changes):
        sizes = {"ram_total_bytes": ram_gb * GB, "ram_available_bytes": int(ram_gb * 0.8e9)}
        gpu = {"vram_bytes": vram_gb and vram_gb * GB, "vram_free_bytes": vram_gb and vram_gb * GB}
        here = replace(machine(), unified_memory=False, disk_free_bytes=500 * GB, **sizes, **gpu, **changes)
        monkeypatch.setattr(loading, "machine", lambda: here)

    monkeypatch.setattr(weights, "folder", lambda chosen, form, **_: weights.place(chosen, form))
    put()
    return put


def way(*arguments, **options):
    found = plan(*arguments, **options)
    return found.card.id, found.engine, found.precision, found.device


BUNDLED = ("smollm2-135m", "onnx", "q4", "cpu")


def test_a_model_runs_in_the_best_way_that_fits(on):
    assert way() == BUNDLED, "no name means the bundled model in its own 4 bits"
    assert way(precision="bf16")[1:3] == ("transformers", "bf16") and way(engine="transformers")[2] == "fp32"
    assert way("phi-3.5-mini") == ("phi-3.5-mini", "onnx", "int4", "cpu")
    assert way("phi-3.5-mini", engine="transformers") == ("phi-3.5-mini", "transformers", "bf16", "cpu")
    on(vram_gb=24)
    assert way("phi-3.5-mini") == ("phi-3.5-mini", "transformers", "bf16", "cuda")
    assert way("phi-3.5-mini", engine="onnx")[3] == "cpu"


def test_what_is_larger_than_the_gpu_is_shared_with_the_cpu(on):
    on(ram_gb=32, vram_gb=8)
    assert way("phi-3.5-mini") == ("phi-3.5-mini", "onnx", "int4", "cpu"), "int4 on the CPU reads less for a token"
    assert way("phi-3.5-mini", engine="transformers")[1:] == ("transformers", "bf16", "auto")
    assert way("phi-4-multimodal") == ("phi-4-multimodal", "transformers", "bf16", "auto"), "it has no other form"
    on(ram_gb=64, vram_gb=4)
    assert way("phi-4-multimodal")[0] == "tiny-vlm", "with most of it on the CPU each word would take long"
    assert way("phi-4-multimodal", precision="bf16")[3] == "auto", "unless the reader insists"


def test_a_machine_without_room_falls_back_with_one_line(on, capsys):
    for ram_gb, name, other, why in (
        (2, "phi-3.5-mini", "smollm2-135m", "It takes 6.11 GB of memory; this machine has 2.00 GB RAM."),
        (16, "gpt-4", "smollm2-135m", "GPT-4 has no weights to download: it is a service, not a file."),
        (2, "phi-3.5-vision", "tiny-vlm", "It takes"),
        (64, "phi-4-multimodal", "tiny-vlm", "Phi-4-multimodal-instruct is published for a GPU"),
    ):
        on(ram_gb=ram_gb)
        assert plan(name).card.id == other
        said = capsys.readouterr().out
        assert said.startswith(f"{other} answers instead of {name}: {why}"), said
        assert said.endswith(" To insist: fallback=False.\n") and said.count("\n") == 1
    on(ram_gb=2)
    with pytest.raises(NotHere, match="will_it_fit"):
        plan("phi-3.5-mini", fallback=False)


def test_without_a_download_the_line_says_how_to_get_it(on, capsys):
    assert way("phi-4-mini", download=False) == BUNDLED
    assert capsys.readouterr().out == (
        "smollm2-135m answers instead of phi-4-mini: it isn't on this machine "
        "(to get it: python -m slmlab fetch phi-4-mini). To insist: fallback=False.\n"
    )


def test_a_choice_that_does_not_exist_lists_the_ones_that_do(on):
    for choice in ({"engine": "tensorrt"}, {"precision": "int3"}, {"engine": "onnx", "precision": "bf16"}):
        with pytest.raises(BadRequest, match="Available"):
            plan(**choice)
    for threads in (0, 1.5, True, 10**6):
        with pytest.raises(BadRequest, match=f"threads={threads} is out of range"):
            slmlab.load("tiny-moe", threads=threads)
    for choice in ({"engine": "onnx"}, {"precision": "int8"}):
        with pytest.raises(BadRequest, match="comes as Transformers in fp32 or bf16. Leave"):
            plan("tiny-moe", **choice)


def test_what_is_not_published_in_a_form_says_what_to_do(on):
    for name, choice, words in (
        ("phi-3.5-vision", {"engine": "transformers"}, "code of its own.*never executes. engine='onnx' runs it"),
        ("phi-3-small", {}, "which this course never executes"),
        ("phi-3.5-mini", {"precision": "int8"}, "not published in a form .*leave engine and precision out"),
    ):
        with pytest.raises(NotHere, match=words):
            plan(name, fallback=False, **choice)


def test_a_quantization_decides_for_transformers_and_may_not_pass_over_experts(on):
    from transformers import FineGrainedFP8Config

    four = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    on(ram_gb=2, vram_gb=8)
    found = plan("phi-3.5-mini", quantization=four)
    assert (found.engine, found.device, found.quantization) == ("transformers", "cuda", four), "7.6 GB are 2 in 4 bits"
    for choice in ({"precision": "int4"}, {"engine": "onnx"}):
        with pytest.raises(BadRequest, match="transformers"):
            plan("phi-3.5-mini", quantization=four, **choice)
    for name, method in (("phi-3.5-moe", four), ("tiny-moe", four), ("phi-3.5-moe", {"quant_method": "something new"})):
        with pytest.raises(BadRequest, match="would leave the experts, 9.% of the parameters.*FqnToConfig.*llama.cpp"):
            plan(name, quantization=method)
    assert method_of(FineGrainedFP8Config()) == "fp8", "a configuration of Transformers does as well as a dict"
    for wrong in ("4bit", {"load_in_4bit": True}):
        with pytest.raises(BadRequest, match="quant_method"):
            plan("phi-3.5-moe", quantization=wrong)


def test_an_unknown_name_lists_the_near_ones_and_a_folder_hides_no_model(on, tmp_path, monkeypatch):
    (tmp_path / "smollm2-135m").mkdir()
    monkeypatch.chdir(tmp_path)
    assert way("smollm2-135m") == BUNDLED
    for wrong in ("phi", "x" * 10_000):
        with pytest.raises(UnknownName, match="Available: "):
            plan(wrong)
    with pytest.raises(NotHere, match="There is no folder"):
        plan(tmp_path / "nowhere")


def test_a_gguf_file_of_ones_own_answers_with_its_own_blocks(own_cache, tmp_path):
    file = write_tiny_gguf(tmp_path / "mine.gguf")
    with slmlab.load(str(file)) as first:
        assert (first.name, first.engine, first.precision) == ("mine", "onnx", "q4")
        said = first.complete("ab", max_tokens=4).text
    made = first.format.folder.stat().st_mtime_ns
    with slmlab.load(file) as again:
        assert again.complete("ab", max_tokens=4).text == said
        assert again.format.folder.stat().st_mtime_ns == made, "a file that was converted isn't converted again"
    with pytest.raises(BadRequest, match="as onnx q4. Leave engine"):
        slmlab.load(file, engine="transformers")


def test_a_gguf_file_that_cannot_be_carried_over_says_what_can(own_cache, tmp_path):
    from gguf import GGMLQuantizationType as Kind

    whole = write_tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 2])
    for file, words in (
        (write_tiny_gguf(tmp_path / "o.gguf", architecture="qwen2"), "qwen2 model.*Llama-shaped models.*llama.cpp"),
        (write_tiny_gguf(tmp_path / "four.gguf", embedding=Kind.Q4_1), "embedding has to be Q8_0"),
        (write_tiny_gguf(tmp_path / "five.gguf", matrices=Kind.Q5_0), "quantized as Q5_0.*Q4_0, Q4_1, Q8_0"),
        (tmp_path / "half.gguf", "half.gguf is damaged, cut short"),
        ("nowhere.gguf", "can't be read"),
    ):
        with pytest.raises(NotHere, match=words):
            slmlab.load(file)


@pytest.fixture
def tickets(tmp_path):
    """What a learner's training leaves, a LoRA in a folder; and the torch model that it was trained in."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(write_tiny_model(tmp_path / "base", "llama"))
    # with peft's own beginning, B is zero and nothing is changed
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "tickets")
    return tmp_path / "tickets", adapted.eval()


def asks_for(folder, base):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": base and str(base)}))
    return folder


def test_an_adapter_answers_as_peft_runs_it_and_one_line_says_into_what_it_went(tickets, tmp_path, capsys):
    (folder, adapted), ids = tickets, list(range(97, 117))
    with torch.no_grad():
        expected = adapted(torch.tensor([ids])).logits[0]
        with adapted.disable_adapter():
            assert not torch.allclose(adapted(torch.tensor([ids])).logits[0], expected, atol=0.1), "it changes much"
    capsys.readouterr()
    with slmlab.load(folder) as model:
        assert capsys.readouterr().out == f"tickets is an adapter: it is merged into {tmp_path.name}/base in memory.\n"
        assert str(model) == "tickets · transformers · fp32 · context 256"
        assert torch.allclose(torch.tensor(next(model.logits(ids))), expected, atol=1e-3)
    with slmlab.load(folder, precision="bf16") as model:
        assert model.precision == "bf16" and model.complete("ab", max_tokens=2).tokens


def test_an_adapter_finds_its_base_by_a_name_of_the_catalog(on, tickets):
    folder, _ = tickets
    for name in ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m"):
        found = plan(asks_for(folder, name))
        assert found.folder == weights.place(slmlab.card("smollm2-135m"), "transformers")
    for base, words in (("gpt-4", "a service"), ("/ann/base", "no base that is here.*/ann/base"), (None, "no base")):
        with pytest.raises(NotHere, match=words):
            plan(asks_for(folder, base))
    for choice in ({"engine": "onnx"}, {"precision": "int8"}):
        with pytest.raises(BadRequest, match=r"is an adapter. For ONNX, save it merged.*precision='int8'"):
            plan(folder, **choice)


def test_an_adapter_that_does_not_fit_is_refused_in_one_line(tickets, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    folder, _ = tickets
    for name, change, words in (
        ("wide", {"intermediate_size": 192}, "size mismatch"),
        ("deep", {"num_hidden_layers": 3}, "4 tensors are in one and not in the other, such as .*layers.2"),
        ("shallow", {"num_hidden_layers": 1}, "4 tensors are in one and not in the other, such as .*layers.1"),
    ):
        other = shutil.copytree(tmp_path / "base", tmp_path / name)
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(other, **change)).save_pretrained(other)
        with pytest.raises(NotHere, match=f"^.*tickets can't go into .*{name}: .*{words}.*Check its base"):
            slmlab.load(asks_for(folder, other))
    file = asks_for(folder, tmp_path / "base") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(NotHere, match="tickets can't go into.*or save it again"):
        slmlab.load(folder)
    file.rename(folder / "adapter_model.bin")
    with pytest.raises(NotHere, match="no adapter_model.safetensors. An adapter_model.bin is not read"):
        slmlab.load(folder)


def test_a_folder_of_ones_own_is_converted_once_for_its_content(own_cache, tmp_path, capsys, monkeypatch):
    folder, text = write_tiny_model(tmp_path / "merged", "llama"), "a learner's own model"
    with slmlab.load(folder) as plain, slmlab.load(folder, precision="int8") as small:
        assert plain.precision == "fp32" and str(small) == "merged · onnx · int8 · context 256"
        assert agreement(small.top1(text), plain.top1(text)) > 0.8
    assert "Converting merged to onnx-int8." in capsys.readouterr().out
    assert plan(folder, engine="onnx").folder == small.folder and not capsys.readouterr().out, "once is enough"
    write_tiny_model(folder, "llama", seed=1)
    monkeypatch.setattr(weights, "_convert", lambda *_: None)
    assert plan(folder, precision="int8").folder != small.folder, "other weights are another model"
    with pytest.raises(BadRequest, match="q4 is a GGUF file's own blocks"):
        plan(folder, precision="q4")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(NotHere, match="can't be read. Give the path of .* a folder with safetensors"):
        plan(folder, precision="int8")

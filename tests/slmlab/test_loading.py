"""loading: which model answers, and what is said about it."""

from dataclasses import replace

import pytest

import slmlab
from slmlab import loading, weights
from slmlab.engines.transformers import method_of
from slmlab.errors import BadRequest, NotHere, UnknownName
from slmlab.loading import plan
from slmlab.machine import machine
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

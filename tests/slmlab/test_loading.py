"""loading: which model answers, and what is said about it."""

import pytest

import slmlab
from slmlab import loading, weights
from slmlab.catalog import card
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest, NotHere, UnknownName
from slmlab.machine import machine
from tests.tiny_gguf import write_tiny_gguf


@pytest.fixture
def opened(monkeypatch):
    """The choices of load without the loading: what would have been opened."""
    found = []

    def open_nothing(chosen, folder, engine, precision, device, threads):
        found.append((chosen.id, engine, precision, device))
        return Engine(chosen)

    monkeypatch.setattr(loading, "_open", open_nothing)
    monkeypatch.setattr(weights, "folder", lambda chosen, form, **_: weights.place(chosen, form))
    monkeypatch.setattr(weights, "is_ready", lambda chosen, form: False)
    return found


def laptop(monkeypatch, ram_gb=16, vram_gb=None, **changes):
    from dataclasses import replace

    here = replace(
        machine(), ram_total_bytes=ram_gb * 10**9, ram_available_bytes=int(ram_gb * 0.8e9), unified_memory=False,
        vram_bytes=vram_gb and vram_gb * 10**9, disk_free_bytes=500 * 10**9, **changes,
    )  # fmt: skip
    monkeypatch.setattr(loading, "machine", lambda: here)


def test_no_name_means_the_bundled_model_in_its_own_4_bits(opened):
    slmlab.load()
    assert opened == [("smollm2-135m", "onnx", "q4", "cpu")]


def test_a_laptop_runs_phi_in_its_published_int4(opened, monkeypatch):
    laptop(monkeypatch)
    slmlab.load("phi-3.5-mini")
    assert opened == [("phi-3.5-mini", "onnx", "int4", "cpu")]


def test_a_gpu_that_fits_runs_phi_in_bf16(opened, monkeypatch):
    laptop(monkeypatch, vram_gb=24)
    slmlab.load("phi-3.5-mini")
    assert opened == [("phi-3.5-mini", "transformers", "bf16", "cuda")]


def test_a_small_machine_falls_back_with_one_line(opened, monkeypatch, capsys):
    laptop(monkeypatch, ram_gb=2)
    slmlab.load("phi-3.5-mini")
    said = capsys.readouterr().out
    assert opened == [("smollm2-135m", "onnx", "q4", "cpu")]
    assert said.count("\n") == 1 and "instead of phi-3.5-mini" in said and "fallback=False" in said


def test_insisting_raises_instead(opened, monkeypatch):
    laptop(monkeypatch, ram_gb=2)
    with pytest.raises(NotHere, match="will_it_fit"):
        slmlab.load("phi-3.5-mini", fallback=False)
    assert opened == []


def test_without_a_download_the_line_says_how_to_get_it(opened, monkeypatch, capsys):
    laptop(monkeypatch)
    slmlab.load("phi-4-mini", download=False)
    assert "slmlab fetch phi-4-mini" in capsys.readouterr().out and opened[0][0] == "smollm2-135m"


def test_a_service_falls_back_because_it_is_no_file(opened, capsys):
    slmlab.load("gpt-4")
    assert "no weights to download" in capsys.readouterr().out and opened[0][0] == "smollm2-135m"


def test_no_network_falls_back_too(monkeypatch, own_cache, capsys):
    laptop(monkeypatch)
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    with pytest.raises(NotHere, match="SLMLAB_OFFLINE"):
        slmlab.load("phi-3.5-mini", fallback=False)


def test_an_unknown_name_lists_the_near_ones():
    with pytest.raises(UnknownName, match="'phi'. Available: phi-"):
        slmlab.load("phi")


@pytest.mark.parametrize(
    "choice", [{"engine": "tensorrt"}, {"precision": "int3"}, {"engine": "onnx", "precision": "bf16"}]
)
def test_a_choice_that_does_not_exist_lists_the_ones_that_do(choice):
    with pytest.raises(BadRequest, match="Available"):
        slmlab.load(**choice)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_text(name):
    with pytest.raises(BadRequest, match="name is text"):
        slmlab.load(name)


def test_a_folder_is_loaded_as_it_is(tiny_folder, tiny_onnx_folder):
    with slmlab.load(tiny_folder) as model:
        assert model.engine == "transformers" and model.complete("a", max_tokens=1).tokens is not None
    with slmlab.load(str(tiny_onnx_folder)) as model:
        assert model.engine == "onnx"


def test_a_folder_of_a_models_name_does_not_hide_the_model(opened, tmp_path, monkeypatch):
    (tmp_path / "smollm2-135m").mkdir()
    monkeypatch.chdir(tmp_path)
    slmlab.load("smollm2-135m")
    assert opened[0][0] == "smollm2-135m"
    with pytest.raises(UnknownName):
        slmlab.load("x" * 10_000)


def test_a_model_for_a_gpu_says_so_where_only_the_cpu_has_room(opened, monkeypatch, capsys):
    laptop(monkeypatch, ram_gb=64)
    slmlab.load("phi-4-multimodal")
    said = capsys.readouterr().out
    assert "published for a GPU" in said and "answers instead of phi-4-multimodal" in said


def test_phi_vision_under_transformers_names_its_own_environment(opened, monkeypatch):
    laptop(monkeypatch, ram_gb=64)
    with pytest.raises(NotHere, match=r"engine='onnx'.*python -m slmlab.pinned phi-3.5-vision"):
        slmlab.load("phi-3.5-vision", engine="transformers", fallback=False)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 10**6, True])
def test_absurd_threads_are_refused(threads):
    with pytest.raises(BadRequest, match="threads="):
        slmlab.load(threads=threads)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotHere, match="There is no folder"):
        slmlab.load(tmp_path / "nowhere")


def test_the_bundled_card_is_the_one_that_load_names():
    assert card(loading.BUNDLED).wheel is not None


def test_the_courses_own_mixture_runs_with_transformers_and_completes():
    with slmlab.load("tiny-moe", download=False) as model:
        assert model.engine == "transformers" and model.precision == "fp32" and model.card.kind == "moe"
        assert model.complete("def ", max_tokens=8).metrics.new_tokens == 8
        with pytest.raises(BadRequest, match="Use .complete"):
            model.ask("Hello?")


@pytest.mark.parametrize("choice", [{"engine": "onnx"}, {"precision": "int8"}, {"precision": "int4"}])
def test_it_comes_in_no_other_form(choice):
    with pytest.raises(BadRequest, match="fp32 or bf16, not as"):
        slmlab.load("tiny-moe", **choice)


def test_it_runs_in_bf16_as_well():
    with slmlab.load("tiny-moe", precision="bf16") as model:
        assert model.card.kind == "moe" and len(model.logprobs("abc")) == 4


@pytest.mark.parametrize("name", ["phi-3-vision", "phi-3.5-vision", "phi-4-multimodal"])
def test_in_the_place_of_a_model_that_sees_answers_one_that_sees(opened, monkeypatch, capsys, name):
    laptop(monkeypatch, ram_gb=4)
    slmlab.load(name, download=False)
    assert opened[-1][:2] == ("tiny-vlm", "transformers")
    assert f"tiny-vlm answers instead of {name}: " in capsys.readouterr().out


def test_in_the_place_of_a_model_of_text_answers_the_bundled_one(opened, monkeypatch, capsys):
    laptop(monkeypatch, ram_gb=4)
    slmlab.load("phi-4-mini", download=False)
    assert opened[-1][0] == "smollm2-135m" and "smollm2-135m answers instead of phi-4-mini" in capsys.readouterr().out


def test_a_gguf_file_of_ones_own_answers_with_its_own_blocks(own_cache, tmp_path):
    file = write_tiny_gguf(tmp_path / "mine.gguf")
    with slmlab.load(str(file)) as first:
        assert (first.name, first.engine, first.precision) == ("mine", "onnx", "q4")
        said = first.complete("ab", max_tokens=4).text
    made = first.format.folder.stat().st_mtime_ns
    with slmlab.load(file) as again:
        assert again.complete("ab", max_tokens=4).text == said
        assert again.format.folder.stat().st_mtime_ns == made, "a file that was converted isn't converted again"
    with pytest.raises(BadRequest, match="not as transformers"):
        slmlab.load(file, engine="transformers")


def test_a_gguf_file_that_cannot_be_carried_over_says_what_can(own_cache, tmp_path):
    from gguf import GGMLQuantizationType as Kind

    other = write_tiny_gguf(tmp_path / "other.gguf", architecture="qwen2")
    with pytest.raises(NotHere, match="qwen2 model.*Llama-shaped.*llama.cpp runs many others"):
        slmlab.load(other)
    with pytest.raises(NotHere, match="quantized as Q5_0.*Q4_0, Q4_1, Q8_0"):
        slmlab.load(write_tiny_gguf(tmp_path / "five.gguf", matrices=Kind.Q5_0))
    whole = write_tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotHere, match="half.gguf is damaged, cut short"):
        slmlab.load(tmp_path / "half.gguf")
    with pytest.raises(NotHere, match="can't be read"):
        slmlab.load("nowhere.gguf")

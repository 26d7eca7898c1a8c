"""machine: what this one has, from real files and programs, and what fits machines made by hand."""

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from slmlab.catalog import card
from slmlab.errors import BadRequest
from slmlab.machine import Machine, best_threads, cache_folder, cores, machine, memory, will_it_fit

GB, MB = 10**9, 1 << 20
ROOMY = Machine(2000 * GB, 2000 * GB, disk_free_bytes=2000 * GB)


def with_ram(free, total=None):
    return Machine(ram_total_bytes=total or free, ram_available_bytes=free)


# Whether it fits


def test_a_report_has_a_row_for_each_precision_in_order():
    report = will_it_fit("phi-3.5-mini", machine="laptop")
    assert [fit.precision for fit in report] == ["fp32", "bf16", "int8", "int4"] and report[3] is report["int4"]
    assert report["int4"].kv_bytes == 2 * report["bf16"].kv_bytes, "ONNX on a CPU keeps its cache in fp32"
    assert "a smaller context helps" in will_it_fit("phi-3.5-mini", "int4", 131_072, "phone")[0].sentence


def test_the_estimate_is_above_what_the_bundled_model_was_measured_to_take():
    for precision, resident in {"int8": 335e6, "int4": 251e6, "fp32": 913e6, "bf16": 676e6}.items():
        fit = will_it_fit("smollm2-135m", precision, context=600, machine=ROOMY)[0]
        assert resident < fit.total_bytes < 2.8 * resident, precision


def test_the_default_precision_of_the_bundled_model_has_a_verdict():
    fit = will_it_fit("smollm2-135m", "q4", machine="phone")["q4"]
    assert fit.verdict == "fits" and fit.weights_bytes == 98_362_432
    with pytest.raises(BadRequest, match="Unknown precision 'q4'. Available: fp32"):
        will_it_fit("phi-4-mini", "q4", machine=ROOMY)


def test_the_context_is_a_sensible_one_unless_asked():
    assert "with 4,096 tokens" in str(will_it_fit("phi-3.5-mini", machine=ROOMY))
    for context in (0, 4097, 2.5):
        with pytest.raises(BadRequest, match="Phi-3-mini-4k-instruct takes 1 to 4,096 tokens"):
            will_it_fit("phi-3-mini", context=context, machine=ROOMY)


def test_the_verdict_follows_the_free_memory():
    needed = will_it_fit("phi-4-mini", "int4", machine=ROOMY)[0].total_bytes

    def fit(free, total=None):
        return will_it_fit("phi-4-mini", "int4", machine=with_ram(free, total))[0]

    assert fit(int(needed / 0.9) + 1).verdict == "fits"
    assert fit(needed).verdict == "tight", "it leaves nothing for the rest"
    assert fit(needed - 1).verdict == "too big" and "close" not in fit(needed - 1).sentence
    crowded = fit(needed // 2, total=needed * 2)
    assert crowded.verdict == "tight" and "close other programs" in crowded.sentence


def test_the_mixture_needs_memory_for_all_and_computes_with_some():
    fit = will_it_fit("phi-3.5-moe", "int4", machine="laptop")[0]
    assert "Memory holds all 41.9 billion parameters" in fit.sentence
    assert "each token computes with 6.64 billion, as in a dense model of that size" in fit.sentence
    assert fit.active_parameters == 6_640_999_744
    assert fit.parameters == card("phi-3.5-moe").parameters, "lesson 05 sets the two side by side"


def test_a_gpu_counts_with_what_is_free_of_it():
    gpu = Machine(4 * GB, 4 * GB, vram_bytes=24 * GB, vram_free_bytes=24 * GB)
    fit = will_it_fit("mistral-7b", "bf16", machine=gpu)[0]
    assert fit.verdict == "fits" and "GPU" in fit.sentence
    assert will_it_fit("mistral-7b", "bf16", machine=replace(gpu, vram_free_bytes=2 * GB))[0].verdict == "too big"


def test_a_full_disk_decides():
    full = replace(ROOMY, disk_free_bytes=GB)
    fit = will_it_fit("phi-4-mini", "int4", machine=full)[0]
    assert fit.verdict == "too big" and "the disk has 1.00 GB free" in fit.sentence


def test_a_model_of_unknown_size_is_unknown_and_never_zero():
    for fit in will_it_fit("gpt-4", machine="laptop"):
        assert fit.verdict == "unknown" and "OpenAI" in fit.sentence
        assert fit.weights_bytes is fit.kv_bytes is fit.total_bytes is None


# What this machine has


def test_this_machine_is_described():
    here = machine()
    assert here.ram_total_bytes >= here.ram_available_bytes > 0 and here.disk_free_bytes > 0
    assert cores()[1] >= best_threads() >= 1
    assert will_it_fit("smollm2-135m").machine.ram_total_bytes == here.ram_total_bytes, "where none is named"


def test_a_variable_moves_the_cache_and_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    home = Path.home()
    for value, folder in {str(tmp_path): tmp_path, "~/far": home / "far", "": home / ".cache/slmlab"}.items():
        monkeypatch.setenv("SLMLAB_CACHE", value)
        assert cache_folder() == folder


def container(root: Path, **files: str) -> Path:
    """A cgroup of a container, as JupyterHub gives each reader one."""
    (root / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / "sys/fs/cgroup" / name.replace("_", ".")).write_text(text)
    return root


def test_a_containers_limits_hold(tmp_path):
    assert memory(tmp_path)[0] == memory()[0], "outside a container nothing is limited"
    root = container(tmp_path, memory_max="max\n", cpu_max="max 100000\n")
    assert memory(root)[0] == memory()[0] and cores(root) == cores()
    root = container(tmp_path, memory_max=f"{512 * MB}\n", memory_current=f"{300 * MB}\n", cpu_max="50000 100000\n")
    assert memory(root) == (512 * MB, 212 * MB)
    assert cores(root)[1] == best_threads(root) == 1, "half a core is still one thread"
    container(tmp_path, memory_stat=f"anon {100 * MB}\ninactive_file {200 * MB}\n")
    assert memory(root) == (512 * MB, 412 * MB), "a file cache that can be given back isn't used"
    assert memory(container(tmp_path, memory_current=f"{900 * MB}"))[1] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has affinity")
def test_affinity_bounds_the_threads():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from slmlab import machine; "
    code += "print(machine.cores()[1], machine.best_threads())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["1", "1"]


def test_apple_silicon_shares_its_memory(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    here = machine()
    assert (here.gpu, here.unified_memory, here.vram_bytes) == ("Apple silicon", True, None)


# A GPU counts where torch can use it


@pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")
def test_a_card_that_torch_cannot_use_is_no_gpu(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Fake GPU, 81920 MiB'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code = "import sys; from slmlab.machine import machine; print(machine().gpu, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "None True", "the driver's word is not torch's, which was asked"


def test_the_first_card_that_torch_sees_is_the_one_that_is_measured(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (15 * GB, 16 * GB))
    here = machine()
    assert (here.gpu, here.vram_bytes, here.vram_free_bytes) == ("card 0", 16 * GB, 15 * GB)

    def busy(index):
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "mem_get_info", busy)
    assert machine().gpu is None

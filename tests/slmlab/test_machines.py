"""machines: this one, and imagined ones."""

from pathlib import Path

import pytest

from slmlab import machine as machines
from slmlab import machine as probe
from slmlab.errors import BadRequest
from slmlab.machine import GPU_SERVER, LAPTOP, PHONE, Machine, machine


def test_this_machine_is_described_without_importing_a_runtime():
    here = machine()
    assert here.ram_total_bytes >= here.ram_available_bytes > 0
    assert here.disk_free_bytes > 0 and here.threads >= 1
    assert here.name == "this machine" and here.python.startswith("3.")


def test_a_variable_moves_the_cache_and_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    for value, folder in {
        str(tmp_path): tmp_path,
        "~/far": Path.home() / "far",
        "": Path.home() / ".cache/slmlab",
    }.items():
        monkeypatch.setenv("SLMLAB_CACHE", value)
        assert machines.cache_folder() == folder


def test_the_gpu_with_most_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(probe, "nvidia_gpus", lambda: [("busy", 24, 1), ("idle", 16, 15)])
    here = machine()
    assert (here.gpu, here.vram_bytes, here.vram_free_bytes) == ("idle", 16, 15)


@pytest.mark.parametrize("found", [[], None])
def test_no_gpu_is_none_and_not_zero_bytes(monkeypatch, found):
    monkeypatch.setattr(probe, "nvidia_gpus", lambda: found)
    assert machine().gpu is machine().vram_bytes is None


def test_apple_silicon_shares_its_memory(monkeypatch):
    monkeypatch.setattr(probe, "is_apple_silicon", lambda: True)
    monkeypatch.setattr(probe, "cpu_name", lambda: "Apple M9")
    here = machine()
    assert (here.gpu, here.unified_memory, here.vram_bytes) == ("Apple M9", True, None)
    assert "shares the RAM" in str(here)


def test_a_machine_made_by_hand_has_its_ram_free():
    assert Machine(ram_total_bytes=8).ram_available_bytes == 8
    assert Machine().ram_available_bytes is None


@pytest.mark.parametrize("field", ["ram_total_bytes", "vram_bytes", "disk_free_bytes"])
def test_a_negative_size_is_refused(field):
    with pytest.raises(BadRequest, match=f"{field}=-1"):
        Machine(**{field: -1})


@pytest.mark.parametrize("one", [PHONE, LAPTOP, GPU_SERVER, Machine(), Machine(gpu="<b>")], ids=lambda one: one.name)
def test_a_machine_reads_as_text_and_as_a_table(one):
    assert one.name in str(one) and "RAM" in str(one)
    assert one._repr_html_().count("<tr>") >= 4 and "<b>" not in one._repr_html_()

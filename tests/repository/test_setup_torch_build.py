"""setup.torch_build: no gigabytes of CUDA without an NVIDIA GPU, and never in silence."""

import pytest

from setup import torch_build
from setup.torch_build import CPU_INDEX, torch_plan

PIN = "2.13.0"
BOTH = ["2.14.0", "2.13.0+cpu", "2.13.0"]
PLAIN = ["2.14.0", "2.13.0"]


def test_without_a_gpu_the_cpu_build_that_is_offered_is_taken():
    plan = torch_plan("Linux", False, PIN, BOTH, cpu_index_reachable=False)
    assert (plan.build, plan.first) == ("cpu", []), (
        "requirements.txt alone brings it: pip prefers a +cpu of the same pin"
    )


def test_without_a_gpu_the_public_cpu_index_is_next():
    plan = torch_plan("Linux", False, PIN, PLAIN, cpu_index_reachable=True)
    assert plan.build == "cpu"
    assert plan.first[-1] == "torch==2.13.0+cpu" and CPU_INDEX in plan.first
    assert "--no-deps" in plan.first, "what torch needs comes from the configured index, with our pins"


def test_what_is_offered_goes_before_a_foreign_index():
    assert torch_plan("Linux", False, PIN, BOTH, cpu_index_reachable=True).first == []


@pytest.mark.parametrize("offered", [PLAIN, [], ["2.12.0+cpu", "2.13.0"]])
def test_the_big_build_on_a_laptop_says_its_size_and_how_to_avoid_it(offered):
    plan = torch_plan("Linux", False, PIN, offered, cpu_index_reachable=False)
    assert plan.build == "cuda"
    for word in ("no NVIDIA GPU", "3 GB", "7 GB", "Ctrl-C", "find-links"):
        assert word in plan.note


def test_with_a_gpu_the_cuda_build_is_taken_and_its_size_said():
    plan = torch_plan("Linux", True, PIN, PLAIN, cpu_index_reachable=True)
    assert (plan.build, plan.first) == ("cuda", [])
    assert "3 GB" in plan.note and "Ctrl-C" in plan.note


def test_with_a_gpu_a_cpu_build_on_offer_is_passed_over():
    plan = torch_plan("Linux", True, PIN, BOTH, cpu_index_reachable=True)
    assert plan.first == ["torch===2.13.0"], "== would take 2.13.0+cpu, === takes this very name"


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
@pytest.mark.parametrize("gpu", [True, False])
def test_elsewhere_the_standard_build_is_small_already(system, gpu):
    plan = torch_plan(system, gpu, PIN, PLAIN, cpu_index_reachable=True)
    assert (plan.build, plan.first) == ("cpu", [])


def ask_this_machine(monkeypatch, outputs, reachable=True):
    """plan_torch on a Linux whose programs print what `outputs` holds for their first word's end."""
    probes = []

    def output(command):
        return next((text for end, text in outputs.items() if str(command[0]).endswith(end)), "")

    monkeypatch.setattr(torch_build.platform, "system", lambda: "Linux")
    monkeypatch.setattr(torch_build.shutil, "which", lambda name: name if name in outputs else None)
    monkeypatch.setattr(torch_build, "_output", output)
    monkeypatch.setattr(torch_build, "_reachable", lambda address: probes.append(address) or reachable)
    return torch_build.plan_torch("python"), probes


def listing(pin_and_more):
    return f"torch (9.9.9)\nAvailable versions: {', '.join(pin_and_more)}\n  INSTALLED: 1\n"


def pinned():
    return torch_build.torch_pin()


def test_the_foreign_index_is_not_even_asked_when_it_is_not_needed(monkeypatch):
    plan, probes = ask_this_machine(monkeypatch, {"python": listing([pinned() + "+cpu", pinned()])})
    assert (plan.build, plan.first, probes) == ("cpu", [], [])


def test_the_foreign_index_is_asked_when_only_the_big_build_is_offered(monkeypatch):
    plan, probes = ask_this_machine(monkeypatch, {"python": listing([pinned()])})
    assert probes == [CPU_INDEX] and plan.build == "cpu"


def test_an_nvidia_smi_that_finds_no_gpu_counts_as_none(monkeypatch):
    plan, _ = ask_this_machine(monkeypatch, {"python": listing([pinned()]), "nvidia-smi": "No devices were found"})
    assert plan.build == "cpu"


def test_an_nvidia_smi_that_lists_one_counts(monkeypatch):
    plan, probes = ask_this_machine(monkeypatch, {"python": listing([pinned()]), "nvidia-smi": "GPU 0: H100"})
    assert (plan.build, probes) == ("cuda", [])


def test_an_index_that_does_not_answer_is_given_up_in_seconds(monkeypatch):
    import time

    monkeypatch.setattr(torch_build, "PATIENCE_S", 0.1)
    monkeypatch.setattr(torch_build, "_answers", lambda address: time.sleep(5) or True)
    began = time.perf_counter()
    assert torch_build._reachable("http://127.0.0.1:9") is False
    assert time.perf_counter() - began < 3
    monkeypatch.setattr(torch_build, "_answers", lambda address: True)
    monkeypatch.setattr(torch_build, "PATIENCE_S", 5)
    assert torch_build._reachable("http://127.0.0.1:9") is True

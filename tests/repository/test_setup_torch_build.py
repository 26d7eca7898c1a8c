"""setup.torch_build: no gigabytes of CUDA without an NVIDIA GPU, and never in silence."""

import time

from setup import torch_build
from setup.torch_build import CPU_INDEX, torch_plan

PIN = "2.13.0"
BOTH = ["2.14.0", "2.13.0+cpu", "2.13.0"]
PLAIN = ["2.14.0", "2.13.0"]


def test_each_machine_gets_the_smallest_build_that_serves_it():
    for system, gpu, offered, reachable, build, first in (
        ("Linux", False, BOTH, False, "cpu", []),  # pip prefers a +cpu of the same pin
        ("Linux", False, BOTH, True, "cpu", []),  # what is offered goes before a foreign index
        ("Linux", False, PLAIN, True, "cpu", ["torch==2.13.0+cpu"]),
        ("Linux", False, PLAIN, False, "cuda", []),
        ("Linux", True, PLAIN, True, "cuda", []),
        ("Linux", True, BOTH, True, "cuda", ["torch===2.13.0"]),  # == would take 2.13.0+cpu, === this very name
        ("Darwin", True, PLAIN, True, "cpu", []),
        ("Windows", False, PLAIN, True, "cpu", []),
    ):
        plan = torch_plan(system, gpu, PIN, offered, cpu_index_reachable=reachable)
        assert (plan.build, plan.first[-1:]) == (build, first), (system, gpu, offered, reachable)
    foreign = torch_plan("Linux", False, PIN, PLAIN, cpu_index_reachable=True).first
    assert CPU_INDEX in foreign and "--no-deps" in foreign, "what torch needs comes from the configured index"


def test_the_big_build_on_a_laptop_says_its_size_and_how_to_avoid_it():
    note = torch_plan("Linux", False, PIN, ["2.12.0+cpu", "2.13.0"], cpu_index_reachable=False).note
    assert all(word in note for word in ("no NVIDIA GPU", "3 GB", "7 GB", "Ctrl-C", "find-links"))


def test_the_foreign_index_is_asked_only_where_it_is_needed_and_a_gpu_only_counts_when_listed(monkeypatch):
    def plan(offered, smi=""):
        outputs, asked = {"python": listing.format(", ".join(offered)), "nvidia-smi": smi}, []
        monkeypatch.setattr(torch_build, "_output", lambda command: outputs[str(command[0])])
        monkeypatch.setattr(torch_build, "_reachable", lambda address: asked.append(address) or True)
        monkeypatch.setattr(torch_build.shutil, "which", lambda name: name if smi else None)
        return torch_build.plan_torch("python").build, asked

    listing, pin = "torch (9.9.9)\nAvailable versions: {}\n  INSTALLED: 1\n", torch_build.torch_pin()
    monkeypatch.setattr(torch_build.platform, "system", lambda: "Linux")
    assert plan([f"{pin}+cpu", pin]) == ("cpu", [])
    assert plan([pin]) == ("cpu", [CPU_INDEX])
    assert plan([pin], "No devices were found")[0] == "cpu"
    assert plan([pin], "GPU 0: H100") == ("cuda", [])


def test_an_index_that_does_not_answer_is_given_up_in_seconds(monkeypatch):
    monkeypatch.setattr(torch_build, "PATIENCE_S", 0.1)
    monkeypatch.setattr(torch_build, "_answers", lambda address: time.sleep(5) or True)
    began = time.perf_counter()
    assert torch_build._reachable("http://127.0.0.1:9") is False and time.perf_counter() - began < 3
    monkeypatch.setattr(torch_build, "_answers", lambda address: True)
    monkeypatch.setattr(torch_build, "PATIENCE_S", 5)
    assert torch_build._reachable("http://127.0.0.1:9") is True

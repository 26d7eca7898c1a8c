"""doctor: one look at the machine, on machines and caches made by the test."""

import json
import os
import subprocess
import sys
import time

import pytest

from course import doctor
from course import doctor as environment
from course.doctor import examine
from slmlab.machine import Machine
from slmlab.weights import is_ready, place

GB = 10**9
SECRET = "nvapi-planted-7f3a9c"


@pytest.fixture
def on(monkeypatch):
    """Puts the doctor on another machine."""

    def put(**facts):
        sizes = {"ram_total_bytes": 8 * GB, "ram_available_bytes": 5 * GB, "disk_free_bytes": 50 * GB}
        here = Machine(**{**sizes, "usable_cores": 2, "threads": 2, **facts})
        monkeypatch.setattr(doctor, "machine", lambda: here)

    for switch in ("SLMLAB_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(switch, raising=False)
    put()
    return put


@pytest.fixture
def no_model(own_cache):
    return own_cache


@pytest.fixture
def with_model(own_cache):
    """A cache that looks as if the model were in it in all its forms; gives the folder of the one that runs."""
    files = {"model.onnx": {"size": 10, "mtime_ns": 0, "sha256": "0" * 64}}
    for form in (doctor.FORM, *doctor.COMPARED):
        folder = place(doctor.card(doctor.BUNDLED), form)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"x" * 10)
        (folder / "manifest.json").write_text(json.dumps({"files": files}))
        assert is_ready(doctor.card(doctor.BUNDLED), form)
    return place(doctor.card(doctor.BUNDLED), doctor.FORM)


def test_a_machine_with_the_model_is_well(on, with_model):
    report = examine()
    faults = [one for one in report if one.status == "fail"]
    assert not faults and report.ok


def test_the_doctor_looks_at_everything_it_promises(on, no_model):
    names = {
        "Python",
        "notebook kernel",
        "packages",
        "cores",
        "memory",
        "disk",
        "GPU",
        "cache",
        "model",
        "keys",
        "offline",
    }
    assert {one.name for one in examine()} == names


def test_every_failure_comes_with_the_line_that_mends_it(on, no_model):
    on(ram_available_bytes=0, disk_free_bytes=0)
    faults = [one for one in examine() if one.status == "fail"]
    assert {"disk", "model"} <= {one.name for one in faults}
    assert all(one.mend for one in faults)


def test_a_missing_model_fails_and_is_mended_by_fetching(on, no_model):
    found = examine()["model"]
    assert (found.status, found.detail) == ("fail", "smollm2-135m is not there")
    assert found.mend.endswith("-m slmlab fetch")


def test_a_model_that_was_cut_short_fails(on, with_model):
    (with_model / "model.onnx").write_bytes(b"x" * 3)
    found = examine()["model"]
    assert found.status == "fail" and "3 bytes instead of 10" in found.detail


def test_offline_a_missing_model_is_brought_from_elsewhere(on, no_model, monkeypatch):
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    report = examine()
    assert "--from FILE" in report["model"].mend
    assert report["offline"].detail == "SLMLAB_OFFLINE: nothing is downloaded"


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_switch_that_is_off_is_off(on, no_model, monkeypatch, value):
    for name in doctor.SWITCHES:
        monkeypatch.setenv(name, value)
    assert examine()["offline"].detail.startswith("not switched on")


def test_little_memory_warns_by_what_is_still_to_be_done(on, with_model):
    on(ram_available_bytes=GB * 3 // 2)
    assert examine()["memory"].status == "ok", "enough to answer"
    (with_model / "manifest.json").unlink()
    found = examine()["memory"]
    assert found.status == "warn" and "2.20 GB to be made" in found.detail and found.mend
    on(ram_available_bytes=GB // 3)
    assert "500 MB to answer" in examine()["memory"].detail


def test_a_full_disk_is_no_fault_once_the_model_is_made(on, with_model):
    on(disk_free_bytes=1)
    assert examine()["disk"].status == "ok"


def test_what_is_not_known_warns_and_never_passes_for_plenty(on, no_model):
    on(ram_total_bytes=None, ram_available_bytes=None, disk_free_bytes=None)
    report = examine()
    assert report["memory"].status == report["disk"].status == "warn"


def test_one_core_warns(on, no_model):
    on(usable_cores=1, threads=1)
    assert examine()["cores"].status == "warn"


def test_a_gpu_that_the_cpu_build_of_torch_leaves_idle_is_said(on, no_model, monkeypatch):
    on(gpu="NVIDIA T4", vram_bytes=16 * GB)
    monkeypatch.setattr(environment, "version", lambda name: "2.13.0+cpu")
    assert "NVIDIA T4, 16.0 GB of 16.0 GB free; the torch installed here is the CPU build" in examine()["GPU"].detail


@pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")
def test_a_broken_nvidia_smi_warns_and_a_missing_one_does_not(on, no_model, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert examine()["GPU"].status == "ok"
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\nexit 9\n")
    script.chmod(0o755)
    assert examine()["GPU"].status == "warn"


def test_a_cache_under_a_file_fails_without_showing_its_path(on, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "file" / "cache"))
    found = examine()["cache"]
    assert found.status == "fail" and "SLMLAB_CACHE" in found.mend
    assert str(tmp_path) not in str(examine())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to")
def test_a_cache_where_nobody_can_write_fails(on, monkeypatch):
    monkeypatch.setenv("SLMLAB_CACHE", "/proc/slmlab")
    assert examine()["cache"].status == "fail"


def test_looking_leaves_nothing_behind(on, no_model):
    examine()
    assert not no_model.exists()


def test_a_cache_in_the_home_folder_is_shown_without_the_home(on, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SLMLAB_CACHE", raising=False)
    assert examine()["cache"].detail == "~/.cache/slmlab can be written"


def test_keys_are_shown_by_name_and_never_by_value(on, no_model, monkeypatch):
    for name in doctor.key_variables():
        monkeypatch.setenv(name, f"{SECRET}-{name.lower()} ")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy")
    report = examine()
    told = str(report) + repr(report) + report._repr_html_() + json.dumps(report.to_dict())
    assert "NVIDIA_API_KEY" in told
    assert SECRET not in told
    assert report["keys"].status == "warn" and "space" in report["keys"].detail


def test_a_key_without_spaces_is_well_and_an_empty_one_is_not_set(on, no_model, monkeypatch):
    for name in doctor.key_variables():
        monkeypatch.delenv(name, raising=False)
    assert examine()["keys"].detail == "none set, and none needed"
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert (examine()["keys"].status, examine()["keys"].detail) == ("ok", "set: HF_TOKEN")


def test_a_check_that_fails_becomes_a_finding_without_its_text(on, no_model, monkeypatch):
    def fall_over():
        raise RuntimeError(SECRET)

    monkeypatch.setattr(environment, "packages", fall_over)
    report = examine()
    assert report["packages"].detail == "could not be looked at (RuntimeError)"
    assert SECRET not in str(report)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_it_and_its_exit_code_tells(tmp_path, as_json):
    environ = {**os.environ, "SLMLAB_CACHE": str(tmp_path), "HF_TOKEN": SECRET}
    command = [sys.executable, "-m", "slmlab", "doctor", *(["--json"] if as_json else [])]
    said = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert said.returncode == 1 and "smollm2-135m is not there" in said.stdout
    assert SECRET not in said.stdout + said.stderr
    if as_json:
        assert json.loads(said.stdout)["ok"] is False


def test_it_is_quick_and_imports_no_runtime():
    heavy = "[name for name in ('torch', 'transformers', 'onnxruntime', 'numpy') if name in sys.modules]"
    code = f"import sys; from course.doctor import examine; str(examine()); print({heavy})"
    began = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout.strip() == "[]"
    assert time.monotonic() - began < 30, "far above the second it takes, so that a busy machine doesn't fail it"

"""doctor: one look at the machine, on machines and caches made by the test."""

import json
import os
import subprocess
import sys

import pytest

from course import doctor
from course.doctor import Finding, Report, examine
from slmlab.catalog import card
from slmlab.machine import Machine
from slmlab.weights import SWITCHES, place

GB = 10**9
SECRET = "nvapi-planted-7f3a9c"
OK, WARN = Finding("cores", "ok", "2 to use"), Finding("memory", "warn", "little", "close programs")
FAIL = Finding("model", "fail", "a <b> is missing", "python -m slmlab fetch")


@pytest.fixture(autouse=True)
def on(monkeypatch, own_cache):
    """Puts the doctor on another machine, with an empty cache, and on an ordinary one from the start."""

    def put(**facts):
        sizes = {"ram_total_bytes": 8 * GB, "ram_available_bytes": 5 * GB, "disk_free_bytes": 50 * GB}
        here = Machine(**{**sizes, **facts})
        monkeypatch.setattr(doctor, "machine", lambda: here)

    for switch in SWITCHES:
        monkeypatch.delenv(switch, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)
    put()
    return put


def look_at(name: str) -> Finding:
    """What a look at everything says of one thing."""
    return next(one for one in examine() if one.name == name)


@pytest.fixture
def with_model():
    """A cache that looks as if the model were in it in all its forms; gives the folder of the one that runs."""
    for form in doctor.COMPARED:
        folder = place(card(doctor.BUNDLED), form)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"x" * 10)
        (folder / "manifest.json").write_text('{"files": {"model.onnx": {"size": 10}}}')
    return place(card(doctor.BUNDLED), doctor.FORM)


# The report


def test_only_a_failure_makes_a_report_not_ok_and_the_last_line_sums_up():
    for findings, ok, summary in (
        ((OK,), True, "All is well."),
        ((OK, WARN), True, "The lessons run. 1 to know about."),
        ((WARN, FAIL), False, "1 to mend: run the line of the first, then look again."),
        ((FAIL, FAIL), False, "2 to mend: run the line of the first, then look again."),
    ):
        report = Report(findings)
        assert report.ok == ok and str(report).splitlines()[-1] == summary and summary in report._repr_html_()


def test_a_report_is_a_table_and_a_list():
    report = Report((OK, FAIL))
    lines = str(report).splitlines()
    assert lines[1].startswith("FAIL  model") and lines[2].strip() == "-> python -m slmlab fetch"
    html, well = report._repr_html_(), Report((OK,))._repr_html_()
    assert "<b>" not in html and "✓ ok" in html and "✗ mend" in html and "the line that mends it" in html
    assert "mends" not in well and list(report) == [OK, FAIL], "no empty column where all is well"


# The whole look


def test_a_machine_with_the_model_is_well_and_everything_promised_is_looked_at(with_model):
    report = examine()
    assert not [one for one in report if one.status == "fail"]
    names = "Python, notebook kernel, packages, cores, memory, disk, GPU, cache, model, keys, offline"
    assert ", ".join(one.name for one in report) == names


def test_every_failure_comes_with_the_line_that_mends_it_and_looking_leaves_nothing_behind(on, own_cache):
    on(ram_available_bytes=0, disk_free_bytes=0)
    faults = [one for one in examine() if one.status == "fail"]
    assert {"disk", "model"} <= {one.name for one in faults} and all(one.mend for one in faults)
    assert not own_cache.exists()


def test_a_check_that_fails_becomes_a_finding_without_its_text(monkeypatch):
    def fall_over():
        raise RuntimeError(SECRET)

    monkeypatch.setattr(doctor, "_packages", fall_over)
    assert look_at("packages").detail == "could not be looked at (RuntimeError)" and SECRET not in str(examine())


def test_the_command_prints_it_and_its_exit_code_tells():
    for extra in ([], ["--json"]):
        command = [sys.executable, "-m", "slmlab", "doctor", *extra]
        said = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HF_TOKEN": SECRET})
        assert said.returncode == 1 and "smollm2-135m is not there" in said.stdout
        assert SECRET not in said.stdout + said.stderr
    found = json.loads(said.stdout)
    assert found["ok"] is False and any(one["mend"].endswith("slmlab fetch") for one in found["findings"])


# Each check


def test_a_kernel_that_starts_another_interpreter_is_found(monkeypatch, tmp_path):
    """Even when both are links to one file, as the pythons of two environments often are."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    other = tmp_path / "other" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.symlink_to(sys.executable)
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    for program, status in (("python", "ok"), (sys.executable, "ok"), (str(other), "warn")):
        argv = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
        found = doctor._kernel()
        assert found[0] == status, program
    assert "another interpreter" in found[1] and found[2].endswith("-m ipykernel install --sys-prefix --name python3")
    assert str(tmp_path) not in found[1] + found[2], "a line to type holds no machine's path"


def test_packages_are_held_against_the_pins_of_the_requirements_file(monkeypatch, tmp_path):
    count = doctor.REQUIREMENTS.read_text().count("==")
    assert doctor._packages() == ("ok", f"all {count} are here, in the tested versions")
    monkeypatch.setattr(doctor, "REQUIREMENTS", tmp_path / "requirements.txt")
    assert doctor._packages()[0] == "ok", "without a clone pip has seen to it"
    doctor.REQUIREMENTS.write_text("# pins\n-e .\ntorch==2.13.0  # runs\nnumpy==2.4.6\n")
    for numpy, found in (
        ("2.4.6", ("ok", "all 2 are here, in the tested versions")),
        ("2.5.0", ("warn", "not the tested version: numpy 2.5.0 (pinned: 2.4.6)", "python lab.py setup")),
        (None, ("fail", "missing: numpy", "python lab.py setup")),
    ):
        monkeypatch.setattr(doctor, "_version", {"torch": "2.13.0+cpu", "numpy": numpy}.get)
        assert doctor._packages() == found, "a mark of the build is no other version"
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for note in ('{"share": 0.3, "fault": ""}', '{"status": "", "fault": "Its installation has not begun."}', "{"):
        (tmp_path / "later.json").write_text(note)
        assert doctor._packages() == ("warn", "1 of 2 are on their way; a lesson that needs one waits for it"), note
    (tmp_path / "later.json").write_text('{"status": "numpy", "fault": "No space is left."}')
    assert doctor._packages() == ("fail", "1 of 2 are missing. No space is left.", "python lab.py setup")


def test_little_memory_warns_by_what_is_still_to_be_done(on, with_model):
    on(ram_available_bytes=GB * 3 // 2, disk_free_bytes=1)
    assert look_at("memory").status == look_at("disk").status == "ok", "enough to answer, and all is made"
    (with_model / "manifest.json").unlink()
    found = look_at("memory")
    assert found.status == "warn" and "the forms of the model 2.20 GB, once" in found.detail and found.mend
    on(ram_available_bytes=GB // 3)
    assert "an answer takes about 500 MB" in look_at("memory").detail


@pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")
def test_a_gpu_that_torch_leaves_idle_and_a_broken_driver_are_said(on, monkeypatch, tmp_path):
    on(gpu="NVIDIA T4", vram_bytes=16 * GB, vram_free_bytes=15 * GB)
    assert look_at("GPU").detail == "NVIDIA T4, 15.0 GB of 16.0 GB free"
    on()
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert look_at("GPU") == Finding("GPU", "ok", "no NVIDIA GPU, and none needed: all runs on the CPU")
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\nexit 9\n")
    script.chmod(0o755)
    monkeypatch.setattr(doctor, "_version", lambda name: "2.13.0+cpu")
    assert look_at("GPU").status == "ok" and "is the CPU build and leaves the card idle" in look_at("GPU").detail
    monkeypatch.setattr(doctor, "_version", lambda name: "2.13.0+cu130")
    assert look_at("GPU").status == "warn" and "torch can't use its card" in look_at("GPU").detail


def test_a_cache_that_cannot_be_written_fails_and_no_path_outside_the_home_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path.parent / tmp_path.name / "file" / "cache"))
    assert look_at("cache").status == "fail"
    monkeypatch.delenv("SLMLAB_CACHE")
    assert look_at("cache").detail == "~/.cache/slmlab can be written"
    if os.path.isdir("/proc/self"):
        monkeypatch.setenv("SLMLAB_CACHE", "/proc/slmlab")
        found = look_at("cache")
        assert found.status == "fail" and "SLMLAB_CACHE" in found.mend and "/proc" not in found.detail


def test_a_missing_or_cut_model_fails_and_is_mended_by_fetching(with_model, monkeypatch):
    (with_model / "model.onnx").write_bytes(b"x" * 3)
    assert "smollm2-135m has a model.onnx of 3 bytes instead of 10" == look_at("model").detail
    (with_model / "manifest.json").unlink()
    found = look_at("model")
    assert (found.status, found.detail) == ("fail", "smollm2-135m is not there") and found.mend.endswith("slmlab fetch")
    assert look_at("offline").detail.startswith("not switched on")
    for switch in SWITCHES:
        monkeypatch.setenv(switch, "on")
        assert "--from FILE" in look_at("model").mend
        assert look_at("offline").detail.endswith(": nothing is downloaded")
    assert look_at("offline").detail.startswith(", ".join(SWITCHES)), "the doctor and the downloads count the same ones"


def test_keys_are_shown_by_name_and_never_by_value(monkeypatch):
    for name in doctor.key_variables():
        monkeypatch.delenv(name, raising=False)
    assert look_at("keys").detail == "none set, and none needed"
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert (look_at("keys").status, look_at("keys").detail) == ("ok", "set: HF_TOKEN")
    for name in doctor.key_variables():
        monkeypatch.setenv(name, f"{SECRET}-{name.lower()} ")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy")
    report = examine()
    told = str(report) + repr(report) + report._repr_html_() + repr(list(report))
    assert "NVIDIA_API_KEY" in told and SECRET not in told
    assert look_at("keys").status == "warn" and "space" in look_at("keys").detail

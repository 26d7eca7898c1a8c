"""setup: which machines are taken, pip in one line, one set-up at a time, the build of torch, and a .venv that is made
once and mended after any interruption."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path, PureWindowsPath

import pytest

from setup import programs, torch_build
from setup import venv as venvs
from setup.machine import LONGEST_FOLDER, Machine, machine_fault, offline_environment, this_machine
from setup.programs import Stop, only_one, pip_hint, pip_status, start, watch
from setup.torch_build import CPU_INDEX, torch_plan
from setup.venv import read_state, ready_venv, sweep_half_installed, venv_fault, write_state
from slmlab.connecting import services

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("/home/ann/slm-lab")
SLEEP = "import time; print('hi', flush=True); time.sleep(60)"

# The machine


def test_a_machine_that_can_not_run_the_course_is_told_why_and_what_to_run():
    good = Machine("Linux", "x86_64", (3, 12), 64, "2.36", musl=False, long_paths=True)
    windows = good._replace(system="Windows", processor="AMD64", release="")
    mac = good._replace(system="Darwin", processor="arm64", release="14.0")
    long = PureWindowsPath("C:/" + "d" * LONGEST_FOLDER)
    for machine, folder in ((this_machine(), HERE), (good, HERE), (mac, HERE), (windows, long)):
        assert machine_fault(machine, folder) is None, machine
    assert machine_fault(good._replace(release=""), HERE) is None, "a libc of no version gets the benefit of the doubt"
    for machine, folder, word in (
        (good._replace(python=(3, 10)), HERE, "too old"),
        (good._replace(python=(3, 9)), HERE, "python3.14 lab.py"),
        (windows._replace(python=(3, 15)), HERE, "too new"),
        (windows._replace(python=(3, 9)), HERE, "py -3.14 lab.py"),
        (good._replace(bits=32), HERE, "32-bit"),
        (mac._replace(processor="x86_64"), HERE, "Intel"),
        (mac._replace(release="13.7"), HERE, "macOS 13.7"),
        (good._replace(release="2.27"), HERE, "glibc"),
        (good, Path("/home/ann/slm:lab"), "Rename"),
        (windows._replace(long_paths=False), long, "shorter"),
    ):
        assert word in machine_fault(machine, folder), machine


def test_tests_and_notebooks_see_no_key_keep_the_rest_and_are_offline():
    names = {name for one in services().values() for name in (*one.url_variables, *one.key_variables)}
    names |= {"HF_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_SECRET", "NGC_APIKEY", "my_password", "MPLBACKEND"}
    given = {"PATH": "/bin", "SLMLAB_CACHE": "/cache", "KEYBOARD": "us"}
    clean = offline_environment(dict.fromkeys(names, "x") | given | {"PYTHONPATH": "/mine"}, HERE)
    assert given.items() <= clean.items() and not names & set(clean)
    assert clean["SLMLAB_OFFLINE"] == clean["HF_HUB_OFFLINE"] == "1"
    twice = offline_environment(clean, HERE)["PYTHONPATH"].split(os.pathsep)
    assert twice == [str(HERE / "tests" / "no_network"), "/mine"], "the hook comes first and only once"


# Programs


def test_pip_output_becomes_what_a_reader_wants_to_know_and_a_fault_comes_with_what_to_do():
    status = ""
    for line, expected in (
        ("Collecting torch==2.13.0 (from -r requirements.txt (line 6))", "looking for torch"),
        ("  Downloading torch-2.13.0+cpu-cp311-manylinux_x86_64.whl (192.5 MB)", "downloading torch (192.5 MB)"),
        ("Progress 48125000 of 192500000", "downloading torch (192.5 MB), 25%"),
        ("Requirement already satisfied: numpy in ./lib", "downloading torch (192.5 MB), 25%"),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
    ):
        status = pip_status(line, status)
        assert status == expected
    lost = "WARNING: Retrying after connection broken by 'NewConnectionError(... Name or service not known)'"
    for lines, word in (
        (["ERROR: Could not install packages: [Errno 28] No space left on device"], "disk is full"),
        (["ERROR: No matching distribution"], "lacks"),
        ([lost, "ERROR: No matching distribution"], "network"),  # a dead network is no missing version
        (["ERROR: something nobody saw before"], "pip's own"),
    ):
        assert word in pip_hint(lines) and "run the same command again" in pip_hint(lines)


def test_watch_gives_the_exit_code_and_the_last_words_of_a_program_with_a_clean_environment(monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    code = r"import os, sys; sys.stdout.buffer.write(b'\xff user ' + os.environ['PIP_USER'].encode()); sys.exit(3)"
    exit_code, (last,) = watch([sys.executable, "-c", code])
    assert exit_code == 3 and last.endswith("user 0"), "output that is no text does no harm; nothing goes to ~/.local"


HOLDER = f"""
import sys, time
from setup.programs import only_one, start
with only_one(sys.argv[1]):
    print(start([sys.executable, "-c", {SLEEP!r}], stdout=2).pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def locked(tmp_path):
    (tmp_path / "lab.py").write_text("x")
    return tmp_path / "lab.py"


@pytest.mark.skipif(os.name == "nt", reason="Windows gives no lock to children")
def test_a_second_setup_waits_for_the_first_and_for_an_installer_that_outlives_it(locked, capsys):
    command = [sys.executable, "-c", HOLDER, str(locked)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        child = int(holder.stdout.readline())
        holder.kill()
    threading.Timer(0.4, os.kill, (child, signal.SIGKILL)).start()
    began = time.perf_counter()
    with only_one(locked):
        assert time.perf_counter() - began > 0.2, "two pips would write into one .venv"
    assert "Another lab.py is setting up this folder" in capsys.readouterr().out


def test_the_lock_ends_with_the_setup_although_a_child_lives_on(locked):
    with only_one(locked):
        child = start([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL)
    with child, open(locked, "rb") as file:
        free = programs._lock(file)
        child.kill()
    assert free, "JupyterLab, started later, must not lock the next set-up out"


# The build of torch


def test_each_machine_gets_the_smallest_build_that_serves_it():
    both, plain = ["2.14.0", "2.13.0+cpu", "2.13.0"], ["2.14.0", "2.13.0"]
    for system, gpu, offered, reachable, build, first in (
        ("Linux", False, both, True, "cpu", []),  # what is offered goes before a foreign index, and pip prefers +cpu
        ("Linux", False, plain, True, "cpu", ["torch==2.13.0+cpu"]),
        ("Linux", False, plain, False, "cuda", []),
        ("Linux", True, plain, True, "cuda", []),
        ("Linux", True, both, True, "cuda", ["torch===2.13.0"]),  # == would take 2.13.0+cpu, === this very name
        ("Darwin", True, plain, True, "cpu", []),
    ):
        plan = torch_plan(system, gpu, "2.13.0", offered, cpu_index_reachable=reachable)
        assert (plan.build, plan.first[-1:]) == (build, first), (system, gpu, offered, reachable)
    foreign = torch_plan("Linux", False, "2.13.0", plain, cpu_index_reachable=True).first
    assert CPU_INDEX in foreign and "--no-deps" in foreign, "what torch needs comes from the configured index"
    note = torch_plan("Linux", False, "2.13.0", plain, cpu_index_reachable=False).note
    assert all(word in note for word in ("no NVIDIA GPU", "3 GB", "7 GB", "Ctrl-C", "find-links")), "never in silence"


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
    assert plan([pin], "No devices were found") == ("cpu", [CPU_INDEX])
    assert plan([pin], "GPU 0: H100") == ("cuda", [])


# The .venv


def test_a_venv_serves_or_the_reason_is_named(tmp_path):
    made = {"made": str(HERE)}
    for state, version, word in (
        (made, "3.11.7", None),
        (None, "3.12.1", None),  # made by hand, and good
        (None, None, "half-made"),
        ({"made": None}, "3.12.1", "stopped while making it"),
        ({"made": "/elsewhere"}, "3.12.1", "another folder"),
        (made, None, "its Python is gone"),
        (made, "3.15.0", "its Python is 3.15.0"),
    ):
        fault = venv_fault(tmp_path, HERE, state, version)
        assert fault is None if word is None else word in fault
    assert venv_fault(tmp_path / "none", HERE, None, None) == "none here yet"


def test_a_real_venv_is_made_left_alone_and_made_anew_after_it_broke_or_was_half_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (1, ["ERROR: no"]))  # no network here
    folder = tmp_path / ".venv"
    made = python, version = ready_venv(folder, tmp_path)
    assert "going on with the one that came with Python" in capsys.readouterr().out, "an old pip is no fault"
    assert subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True).returncode == 0
    assert version == "{}.{}.{}".format(*sys.version_info[:3]) and read_state(folder) == {"made": str(tmp_path)}
    kept = folder / "kept"
    kept.touch()
    (folder / "lab.json").write_text('{"made": "/ho')
    assert read_state(folder) == {}, "one that was cut off counts as nothing done"
    (folder / "lab.json").unlink()
    assert ready_venv(folder, tmp_path) == made and kept.exists(), "a whole one is left alone, made by hand or not"
    Path(python).unlink()
    assert ready_venv(folder, tmp_path) == made and not kept.exists(), "a broken one is made anew"

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(venvs, "watch", killed)
    write_state(folder, made=None)
    with pytest.raises(KeyboardInterrupt):
        ready_venv(folder, tmp_path)
    assert read_state(folder) == {"made": None}, "what is half made is not vouched for before it is whole"


def test_a_venv_that_cannot_be_made_says_why_and_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Stop, match="can't be written.*copy SLM Lab to a folder of your own"):
        ready_venv(tmp_path / "file" / ".venv", tmp_path)
    monkeypatch.setattr(venvs, "watch", lambda command: (1, ["Error: no space"]))
    with pytest.raises(Stop, match="no space"):
        ready_venv(tmp_path / ".venv", tmp_path)
    monkeypatch.setattr(venvs.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(Stop, match=r"sudo apt install python3\.\d+-venv"):
        ready_venv(tmp_path / "other", tmp_path)


def test_packages_without_their_file_list_are_forgotten_and_whole_ones_kept(tmp_path):
    site = tmp_path / venvs.platform_choices(venvs.platform.system())["packages"].replace("*", "3.12")
    for name, files in (("good-1.dist-info", ("METADATA", "RECORD")), ("half-2.dist-info", ("METADATA",))):
        (site / name).mkdir(parents=True)
        for file in files:
            (site / name / file).write_text("Name: x")
    (site / "~umpy").mkdir()
    sweep_half_installed(tmp_path)
    assert [one.name for one in site.iterdir()] == ["good-1.dist-info"]

"""setup.programs: pip in one line that moves, its faults as advice, and one set-up at a time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from setup import programs
from setup.programs import only_one, pip_hint, pip_status, start, watch

ROOT = Path(__file__).resolve().parents[2]


def test_pip_output_becomes_what_a_reader_wants_to_know():
    lines = [
        "Collecting torch==2.13.0 (from -r requirements.txt (line 6))",
        "  Downloading torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl (192.5 MB)",
        "Progress 48125000 of 192500000",
        "Progress 96250000 of 192500000",
        "Requirement already satisfied: numpy in ./lib",
        "Installing collected packages: a, b, c",
    ]
    seen, status = [], ""
    for line in lines:
        status = pip_status(line, status)
        seen.append(status)
    assert seen == [
        "looking for torch",
        "downloading torch (192.5 MB)",
        "downloading torch (192.5 MB), 25%",
        "downloading torch (192.5 MB), 50%",
        "downloading torch (192.5 MB), 50%",
        "unpacking 3 packages",
    ]


def test_a_file_of_unknown_size_does_not_divide_by_zero():
    assert pip_status("Progress 0 of 0", "downloading x") == "downloading x, 0%"


@pytest.mark.parametrize(
    "line, word",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. Hash", "damaged"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError(... Name or service not known)'", "network"),
        ("ERROR: Could not find a version that satisfies the requirement x\nERROR: No matching distribution", "lacks"),
        ("ERROR: something nobody saw before", "pip's own"),
    ],
)
def test_a_fault_of_pip_comes_with_what_to_do(line, word):
    hint = pip_hint(["Collecting x", line])
    assert word in hint and "run the same command again" in hint


def test_a_dead_network_is_not_taken_for_a_missing_version():
    lines = ["WARNING: Retrying (Retry(total=0)) after connection broken by ...", "ERROR: No matching distribution"]
    assert "network" in pip_hint(lines)


def test_watch_gives_the_exit_code_and_the_last_words():
    code, last = watch(
        [sys.executable, "-c", "print('Progress 1 of 2'); print('one'); print('two'); raise SystemExit(3)"]
    )
    assert (code, last) == (3, ["one", "two"])


def test_watch_survives_output_that_is_no_text():
    code, last = watch([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff\\xfe ok\\n')"])
    assert code == 0 and last[0].endswith("ok")


def test_an_interrupted_watch_ends_the_program_it_watched(monkeypatch):
    started = []
    monkeypatch.setattr(programs, "start", lambda *a, **k: started.append(start(*a, **k)) or started[0])
    monkeypatch.setattr(programs, "pip_status", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        watch([sys.executable, "-c", "import time; print('hi', flush=True); time.sleep(60)"])
    assert started[0].poll() is not None


def test_programs_do_not_install_into_the_readers_own_folder(monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    child = start([sys.executable, "-c", "import os; print(os.environ['PIP_USER'])"], stdout=subprocess.PIPE)
    assert child.communicate()[0].strip() == b"0" and child.returncode == 0


HOLDER = """
import subprocess, sys, time
from setup.programs import only_one, start
with only_one(sys.argv[1]):
    child = start([sys.executable, "-c", "import time; time.sleep(60)"]) if sys.argv[2] == "child" else None
    print(child.pid if child else 0, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path):
    """Start a program that holds the lock; gives it, the file, and the pid of a child it started."""
    path, running, children = tmp_path / "lab.py", [], []
    path.write_text("x")

    def begin(child=""):
        command = [sys.executable, "-c", HOLDER, str(path), child]
        holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(holder)
        children.append(int(holder.stdout.readline()))
        return holder, path, children[-1]

    yield begin
    for holder in running:
        holder.kill()
        holder.wait()
    for pid in filter(None, children):
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            pass


def is_free(path):
    with open(path, "rb") as file:
        return programs._lock(file)


def test_a_second_setup_waits_for_the_first_and_says_so(hold, capsys):
    holder, path, _ = hold()
    assert not is_free(path)
    import threading

    threading.Timer(0.4, holder.terminate).start()
    began = time.perf_counter()
    with only_one(path):
        assert time.perf_counter() - began > 0.2
    assert "Another lab.py is setting up this folder" in capsys.readouterr().out


def test_a_killed_setup_leaves_no_lock_behind(hold):
    holder, path, _ = hold()
    holder.kill()
    holder.wait()
    assert is_free(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows gives no lock to children")
def test_an_installer_that_outlives_a_killed_setup_keeps_the_next_one_waiting(hold):
    holder, path, child = hold("child")
    holder.kill()
    holder.wait()
    assert not is_free(path), "two pips would write into one .venv"
    os.kill(child, signal.SIGKILL)
    deadline = time.perf_counter() + 5
    while not is_free(path) and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert is_free(path)


def test_the_lock_ends_with_the_setup_although_a_child_lives_on(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text("x")
    with only_one(path):
        child = start([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert is_free(path), "JupyterLab, started later, must not lock the next set-up out"
    finally:
        child.kill()
        child.wait()

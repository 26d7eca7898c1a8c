"""setup.programs: pip in one line that moves, its faults as advice, and one set-up at a time."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from setup import programs
from setup.programs import only_one, pip_hint, pip_status, start, watch

ROOT = Path(__file__).resolve().parents[2]
SLEEP = "import time; print('hi', flush=True); time.sleep(60)"


def test_pip_output_becomes_what_a_reader_wants_to_know():
    status = ""
    for line, expected in (
        ("Collecting torch==2.13.0 (from -r requirements.txt (line 6))", "looking for torch"),
        ("  Downloading torch-2.13.0+cpu-cp311-manylinux_x86_64.whl (192.5 MB)", "downloading torch (192.5 MB)"),
        ("Progress 48125000 of 192500000", "downloading torch (192.5 MB), 25%"),
        ("Progress 0 of 0", "downloading torch (192.5 MB), 0%"),
        ("Requirement already satisfied: numpy in ./lib", "downloading torch (192.5 MB), 0%"),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
    ):
        status = pip_status(line, status)
        assert status == expected


def test_a_fault_of_pip_comes_with_what_to_do():
    lost = "WARNING: Retrying after connection broken by 'NewConnectionError(... Name or service not known)'"
    for lines, word in (
        (["ERROR: Could not install packages: [Errno 28] No space left on device"], "disk is full"),
        (["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. Hash"], "damaged"),
        ([lost], "network"),
        (["ERROR: No matching distribution"], "lacks"),
        ([lost, "ERROR: No matching distribution"], "network"),  # a dead network is no missing version
        (["ERROR: something nobody saw before"], "pip's own"),
    ):
        assert word in pip_hint(lines) and "run the same command again" in pip_hint(lines)


def test_watch_gives_the_exit_code_and_the_last_words():
    code = (
        r"import sys; print('Progress 1 of 2'); sys.stdout.flush(); sys.stdout.buffer.write(b'\xff ok\n'); sys.exit(3)"
    )
    exit_code, (last,) = watch([sys.executable, "-c", code])
    assert exit_code == 3 and last.endswith("ok"), "output that is no text does no harm"


def test_an_interrupted_watch_ends_the_program_it_watched(monkeypatch):
    started = []
    monkeypatch.setattr(programs, "start", lambda *a, **k: started.append(start(*a, **k)) or started[0])
    monkeypatch.setattr(programs, "pip_status", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        watch([sys.executable, "-c", SLEEP])
    assert started[0].poll() is not None


def test_programs_do_not_install_into_the_readers_own_folder(monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    child = start([sys.executable, "-c", "import os; print(os.environ['PIP_USER'])"], stdout=subprocess.PIPE)
    assert child.communicate()[0].strip() == b"0" and child.returncode == 0


HOLDER = f"""
import sys, time
from setup.programs import only_one, start
with only_one(sys.argv[1]):
    child = start([sys.executable, "-c", {SLEEP!r}], stdout=2) if sys.argv[2] else None
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
        running.append(
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        children.append(int(running[-1].stdout.readline()))
        return running[-1], path, children[-1]

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


def test_a_second_setup_waits_for_the_first_and_a_killed_one_leaves_no_lock(hold, capsys):
    holder, path, _ = hold()
    assert not is_free(path)
    threading.Timer(0.4, holder.kill).start()
    began = time.perf_counter()
    with only_one(path):
        assert time.perf_counter() - began > 0.2
    assert "Another lab.py is setting up this folder" in capsys.readouterr().out


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
        child = start([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL)
    try:
        assert is_free(path), "JupyterLab, started later, must not lock the next set-up out"
    finally:
        child.kill()
        child.wait()

"""lab.py: the commands, the order of the set-up, and what is left out the second time."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import lab
from setup.programs import Stop
from setup.torch_build import Plan

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "lab.py", *sorted((ROOT / "setup").glob("*.py"))]
PROOF = ["slmlab fetch", "slmlab doctor", f"slmlab chat {lab.QUESTION}", "slmlab fetch --all"]


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """lab.set_up on a ready .venv where every program succeeds at once; gives the list of what was run."""
    done = []

    def start(command, env=None, **options):
        done.append(" ".join(str(word) for word in command[2:]))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(lab, "VENV", tmp_path / ".venv")
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(lab, "ready_venv", lambda venv, root: ("python", "3.12.1"))
    monkeypatch.setattr(lab, "install_packages", lambda venv, python: done.append("packages"))
    monkeypatch.setattr(lab, "start", start)
    lab.write_state(lab.VENV, made=str(ROOT))
    return done


def test_the_first_setup_proves_itself_and_the_second_only_makes_sure_of_the_model(commands, monkeypatch):
    lab.set_up()
    assert commands == ["packages", *PROOF], "the first answer comes before what can wait"
    lab.set_up()
    assert commands[5:] == ["slmlab fetch --all"]
    monkeypatch.setattr(lab, "fingerprint", lambda root, version: "another")
    lab.set_up()
    assert commands[6:] == ["packages", *PROOF], "a new pin installs and proves again"


def test_a_setup_that_failed_says_so_and_goes_on_where_it_stopped(commands, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(lab, "start", lambda command: subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"]))
        with pytest.raises(Stop, match="`slmlab fetch` found a fault: what it printed above says what to do"):
            lab.set_up()
    lab.set_up()
    assert commands == ["packages", *PROOF], "packages that are there are not installed again"


def test_torch_comes_first_a_full_disk_stops_it_and_a_pip_that_fails_shows_its_last_words(monkeypatch, tmp_path):
    calls, answer, free = [], [(0, [])], [10**12]
    monkeypatch.setattr(lab.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, free[-1]))
    monkeypatch.setattr(lab, "plan_torch", lambda python: Plan("cuda", ["torch==2.13.0"], "a note"))
    monkeypatch.setattr(lab, "pip_install", lambda python, *what: calls.append(what[-1]) or answer[-1])
    lab.install_packages(tmp_path, sys.executable)
    assert calls == ["torch==2.13.0", "requirements.txt"]
    answer.append((1, ["ERROR: [Errno 28] No space left on device"]))
    with pytest.raises(Stop, match="(?s)Errno 28.*The disk is full: free some space.*run the same command again"):
        lab.install_packages(tmp_path, sys.executable)
    free.append(5 * 10**9)
    with pytest.raises(Stop, match=r"needs 12 GB of disk, and 5\.0 GB are free"):
        lab.install_packages(tmp_path, sys.executable)
    assert len(calls) == 4, "and nothing was downloaded"


def test_each_command_hands_over_to_its_program_on_a_machine_that_can(monkeypatch):
    handed = []
    monkeypatch.setattr(lab, "set_up", lambda: "python")
    monkeypatch.setattr(lab, "hand_over", lambda command, env=None: handed.append((command, env)) or 7)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert lab.main(["test", "-k", "chat"]) == 7
    command, environ = handed.pop()
    assert command == ["python", "-m", "pytest", "-k", "chat"]
    assert "OPENAI_API_KEY" not in environ and "no_network" in environ["PYTHONPATH"]
    lab.main(["notebooks", "01", "--measure"])
    assert handed.pop()[0] == ["python", "tools/refresh.py", "01", "--measure"]
    lab.main(["--no-browser", "--port", "9001"])
    line = " ".join(handed.pop()[0])
    assert all(word in line for word in ("jupyterlab", "--no-browser", "--port=9001", lab.FIRST_LESSON))
    assert (ROOT / lab.FIRST_LESSON).is_file()
    assert lab.main(["setup"]) == 0 and not handed, "the set-up opens nothing"
    monkeypatch.setattr(lab, "machine_fault", lambda machine, folder: "This machine can't.")
    with pytest.raises(Stop, match="can't"):
        lab.main(["setup"])


def test_setting_up_needs_the_standard_library_alone_in_the_syntax_of_an_old_python():
    for path in SCRIPTS:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
        names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"setup"}, path.name


@pytest.mark.skipif(sys.platform == "win32", reason="a colon can't be in a folder's name there")
def test_a_stop_is_a_sentence_and_not_a_traceback(tmp_path):
    """The real script, in a folder with a path separator in its name."""
    folder = tmp_path / "slm:lab"
    shutil.copytree(ROOT / "setup", folder / "setup")
    shutil.copy(ROOT / "lab.py", folder)
    done = subprocess.run([sys.executable, str(folder / "lab.py"), "setup"], capture_output=True, text=True)
    assert done.returncode == 1 and "Rename" in done.stderr and "Traceback" not in done.stderr
    assert not (folder / ".venv").exists()

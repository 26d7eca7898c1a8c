"""lab.py: the commands, the order of the set-up, and what is left out the second time."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from setup import programs
from setup.programs import Stop

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "lab.py", *sorted((ROOT / "setup").glob("*.py"))]


def run_lab(*words, python=sys.executable):
    return subprocess.run([python, str(ROOT / "lab.py"), *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """lab.set_up on a ready .venv where every program succeeds at once; gives the list of what was run."""
    done = []

    class Program:
        def __init__(self, command):
            self.command = command

        def wait(self):
            return 0

    def start(command, env=None, **options):
        done.append(" ".join(str(word) for word in command[2:]))
        return Program(command)

    monkeypatch.setattr(lab, "VENV", tmp_path / ".venv")
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(lab, "ready_venv", lambda venv, root: ("python", "3.12.1"))
    monkeypatch.setattr(lab, "install_packages", lambda venv, python: done.append("packages"))
    monkeypatch.setattr(lab, "start", start)
    lab.write_state(lab.VENV, made=str(ROOT))
    return done


def test_the_first_setup_installs_fetches_examines_and_answers(quick):
    lab.set_up()
    proof = ["slmlab fetch", "slmlab doctor", f"slmlab chat {lab.QUESTION}"]
    assert quick == ["packages", *proof, "slmlab fetch --all"], "the first answer comes before what can wait"


def test_the_second_setup_only_makes_sure_of_the_model(quick):
    lab.set_up()
    del quick[:]
    lab.set_up()
    assert quick == ["slmlab fetch --all"]


def test_a_new_pin_installs_and_proves_again(quick, monkeypatch):
    lab.set_up()
    del quick[:]
    monkeypatch.setattr(lab, "fingerprint", lambda root, version: "another")
    lab.set_up()
    assert quick[0] == "packages" and len(quick) == 5


@pytest.mark.parametrize("failing, again", [("packages", 5), ("slmlab fetch", 4), ("slmlab doctor", 4)])
def test_a_setup_that_failed_goes_on_where_it_stopped(quick, monkeypatch, failing, again):
    real_start = lab.start

    def fail(*_):
        raise Stop("no")

    def failing_start(command, env=None, **options):
        if " ".join(command[2:]) == failing:
            fail()
        return real_start(command, env, **options)

    with monkeypatch.context() as broken:
        broken.setattr(lab, "start", failing_start)
        if failing == "packages":
            broken.setattr(lab, "install_packages", fail)
        with pytest.raises(Stop):
            lab.set_up()
    del quick[:]
    lab.set_up()
    assert len(quick) == again


def test_a_fault_of_slmlab_stops_the_setup_and_points_at_what_it_said(monkeypatch):
    monkeypatch.setattr(lab, "start", lambda command: subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"]))
    with pytest.raises(Stop, match="`slmlab fetch` found a fault: what it printed above says what to do"):
        lab.slmlab("python", "fetch")


def test_too_little_disk_is_refused_before_anything_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(lab, "plan_torch", lambda python: lab_plan("cuda"))
    monkeypatch.setattr(lab.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 5 * 10**9))
    monkeypatch.setattr(lab, "pip_install", lambda *what: pytest.fail("pip was called"))
    with pytest.raises(Stop, match=r"needs 12 GB of disk, and 5\.0 GB are free"):
        lab.install_packages(tmp_path, "python")


def lab_plan(build, first=()):
    from setup.torch_build import Plan

    return Plan(build, list(first), "a note")


@pytest.fixture
def pip_calls(monkeypatch):
    calls = []
    monkeypatch.setattr(lab.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 10**12))
    return calls


def test_torch_is_chosen_before_the_rest_and_its_note_is_said(monkeypatch, tmp_path, pip_calls, capsys):
    monkeypatch.setattr(lab, "plan_torch", lambda python: lab_plan("cpu", ["torch==2.13.0+cpu"]))
    monkeypatch.setattr(lab, "pip_install", lambda python, *what: pip_calls.append(what[-1]) or (0, []))
    lab.install_packages(tmp_path, sys.executable)
    assert pip_calls == ["torch==2.13.0+cpu", "requirements.txt"]
    assert "torch: a note" in capsys.readouterr().out
    assert (tmp_path / "share/jupyter/lab/settings/overrides.json").is_file()


def test_a_pip_that_fails_shows_its_last_words_and_what_to_do(monkeypatch, tmp_path, pip_calls):
    monkeypatch.setattr(lab, "plan_torch", lambda python: lab_plan("cpu"))
    monkeypatch.setattr(lab, "pip_install", lambda python, *what: (1, ["ERROR: [Errno 28] No space left on device"]))
    with pytest.raises(Stop, match="(?s)Errno 28.*The disk is full: free some space.*run the same command again"):
        lab.install_packages(tmp_path, sys.executable)


def record_handover(monkeypatch):
    handed = []
    monkeypatch.setattr(lab, "set_up", lambda: "python")
    monkeypatch.setattr(lab, "hand_over", lambda command, env=None: handed.append((command, env)) or 7)
    return handed


def test_test_gives_pytest_its_words_and_an_environment_without_keys(monkeypatch):
    handed = record_handover(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert lab.main(["test", "-k", "chat", "--no-browser", "-x"]) == 7
    command, env = handed[0]
    assert command == ["python", "-m", "pytest", "-k", "chat", "--no-browser", "-x"]
    assert "OPENAI_API_KEY" not in env and "no_network" in env["PYTHONPATH"]


def test_notebooks_gives_refresh_its_words(monkeypatch):
    handed = record_handover(monkeypatch)
    lab.main(["notebooks", "01", "--measure"])
    assert handed[0][0] == ["python", "notebooks/refresh.py", "01", "--measure"]


def test_without_a_word_the_lab_opens_at_the_first_lesson(monkeypatch):
    handed = record_handover(monkeypatch)
    lab.main(["--no-browser", "--port", "9001"])
    line = " ".join(handed[0][0])
    assert "jupyterlab" in line and "--no-browser" in line and "--port=9001" in line
    assert lab.FIRST_LESSON in line and (ROOT / lab.FIRST_LESSON).is_file()


def test_setup_opens_nothing(monkeypatch):
    handed = record_handover(monkeypatch)
    assert lab.main(["setup"]) == 0 and handed == []


def test_a_machine_that_can_not_is_refused_before_anything_is_made(monkeypatch):
    monkeypatch.setattr(lab, "machine_fault", lambda machine, folder: "This machine can't.")
    monkeypatch.setattr(lab, "set_up", lambda: pytest.fail("it was set up"))
    with pytest.raises(Stop, match="can't"):
        lab.main(["setup"])


@pytest.mark.parametrize("words", [["--help"], ["test", "--help"], ["notebooks", "-h"]])
def test_help_names_every_command_and_sets_nothing_up(words):
    done = run_lab(*words)
    assert done.returncode == 0
    for word in ("setup", "test", "notebooks", "--no-browser", "--port"):
        assert word in done.stdout


def test_an_unknown_command_is_refused_with_the_known_ones():
    done = run_lab("tests")
    assert done.returncode == 2 and "notebooks" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_an_old_python_can_read_the_sentence_that_says_it_is_too_old(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_setting_up_needs_the_standard_library_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"setup"}
    assert not foreign


def old_pythons():
    found = (shutil.which(f"python3.{minor}") for minor in (6, 7, 8, 9, 10))
    return [
        path
        for path in found
        if path and subprocess.run([path, "-c", "import sys"], capture_output=True).returncode == 0
    ]


def test_a_real_old_python_is_refused_in_one_sentence():
    pythons = old_pythons()
    if not pythons:
        pytest.skip("no Python below 3.11 on this machine")
    done = run_lab("setup", python=pythons[0])
    assert done.returncode == 1
    assert "too old" in done.stderr and "Traceback" not in done.stderr


def test_a_stop_is_a_sentence_and_not_a_traceback(tmp_path):
    """The real script, in a folder with a path separator in its name."""
    if programs.os.name == "nt":
        pytest.skip("a colon can't be in a folder's name there")
    folder = tmp_path / "slm:lab"
    folder.mkdir()
    shutil.copy(ROOT / "lab.py", folder)
    shutil.copytree(ROOT / "setup", folder / "setup")
    done = subprocess.run([sys.executable, folder / "lab.py", "setup"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Rename" in done.stderr and "Traceback" not in done.stderr
    assert not (folder / ".venv").exists()

"""lab.py: the commands, the order of the set-up, and what is left out the second time."""

import ast
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

import lab
from setup import waiting
from setup.packages import Installer
from setup.programs import Stop
from tests.conftest import ROOT

SCRIPTS = [ROOT / "lab.py", *sorted((ROOT / "setup").glob("*.py"))]
PROOF = [f"import {lab.OPENED}", "slmlab fetch", "slmlab doctor", f"slmlab chat {lab.QUESTION}"]


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """lab.set_up on a ready .venv where every program succeeds at once; gives the list of what was run."""
    done = []

    def start(command, env=None, **options):
        done.append(" ".join(str(word) for word in command[2:]))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(lab, "VENV", tmp_path)
    monkeypatch.setattr(lab, "STATE", tmp_path / "lab.json")
    monkeypatch.setattr(lab, "LATER", tmp_path / "later.json")
    lab.site_of(tmp_path, "3.12.1").mkdir(parents=True)
    monkeypatch.setattr(lab, "ready_venv", lambda venv, root: ("python", "3.12.1"))
    monkeypatch.setattr(lab, "version_of", lambda venv: ("python", "3.12.1"))
    monkeypatch.setattr(lab, "installer", lambda venv, python: Installer(["uv"], {}, None, True))
    monkeypatch.setattr(lab, "install", lambda tool, site, *what, **watching: done.append(what[-1]))
    monkeypatch.setattr(lab, "torch_build", lambda tool, python: ("a note", ["--torch-backend=cpu"], False))
    monkeypatch.setattr(lab, "start", start)
    waiting.note(lab.STATE, made=str(ROOT))
    return done


def test_the_first_answer_comes_before_what_can_wait_and_a_second_run_has_little_to_do(commands, monkeypatch, capsys):
    lab.set_up(everything=False)
    assert commands[1:] == [".", *PROOF] and "==" in commands[0], "what lesson 00 needs, the model, and its proof"
    hook = next(lab.VENV.rglob("lab_waiting.pth")).read_text()
    assert "'torch'" in hook and "'cv2'" in hook and "has not begun" in waiting.read(lab.LATER)["fault"]
    lab.set_up()
    assert "390 MB to download" in capsys.readouterr().out
    assert commands[6:] == [lab.pins()[-1], "slmlab fetch --all"]
    assert waiting.read(lab.LATER) is None
    lab.set_up(everything=False)
    assert commands[8:] == ["slmlab fetch"], "it makes sure of the model"
    monkeypatch.setattr(lab, "fingerprint", lambda root, version: "another")
    lab.set_up(everything=False)
    assert commands[10:] == [".", *PROOF], "a new pin installs and proves again"


def test_a_setup_that_failed_says_so_and_goes_on_where_it_stopped(commands, monkeypatch):
    with monkeypatch.context() as broken:
        failing = [sys.executable, "-c", "raise SystemExit(1)"]
        broken.setattr(lab, "start", lambda command, env=None, **options: subprocess.Popen(failing))
        with pytest.raises(Stop, match="`slmlab fetch` found a fault: what it printed above says what to do"):
            lab.set_up()
    lab.set_up(everything=False)
    assert commands[2:] == PROOF, "packages that are there are not installed again"


def test_a_rest_that_failed_is_told_to_those_who_wait_and_no_gigabytes_come_in_silence(commands, monkeypatch, capsys):
    def install(tool, site, *what, **watching):
        commands.append(what)
        if what[-1] == lab.pins()[-1]:
            raise Stop("its words\nThe disk is full.")

    monkeypatch.setattr(lab, "install", install)
    with pytest.raises(Stop, match="The disk is full"):
        lab.set_up()
    assert commands[-1] == ("--torch-backend=cpu", *lab.pins()), "no other build is taken in silence"
    assert waiting.read(lab.LATER)["fault"] == "The disk is full."
    monkeypatch.setattr(lab.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, 5 * 10**8))
    monkeypatch.setattr(lab, "torch_build", lambda tool, python: ("the CUDA build", [], True))
    with pytest.raises(Stop, match=r"needs 10 GB of disk, and 0\.5 GB are free"):
        lab.set_up()
    assert "3 GB to download and 7 GB on disk; Ctrl-C stops it" in capsys.readouterr().out, "never in silence"


def test_each_command_hands_over_to_its_program_on_a_machine_that_can(monkeypatch, tmp_path):
    handed = []
    monkeypatch.setattr(lab, "STATE", tmp_path / "lab.json")
    waiting.note(lab.STATE, first="done")
    monkeypatch.setattr(lab, "set_up", lambda everything: ("python", everything))
    monkeypatch.setattr(lab, "go_on_in_background", lambda: handed.append("rest"))
    monkeypatch.setattr(lab, "hand_over", lambda command, env=None: handed.append((command, env)) or 7)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert lab.main(["test", "-k", "chat"]) == 7
    command, environ = handed.pop()
    assert command == ["python", "-m", "pytest", "-k", "chat"]
    assert "OPENAI_API_KEY" not in environ and "no_network" in environ["PYTHONPATH"]
    lab.main(["notebooks", "01", "--measure"])
    assert handed.pop()[0] == ["python", "tools/refresh.py", "01", "--measure"]
    monkeypatch.setattr(lab, "extra_packages", lambda python, name: handed.append(name))
    lab.main(["site", "--serve"])
    assert handed == ["site", (["python", "site/build.py", "--serve"], None)], "packages first, then the site"
    waiting.note(lab.STATE, packages="those of an older course")
    lab.main(["site"])
    assert handed[2:] == ["rest", "site", (["python", "site/build.py"], None)], "it leaves nothing half-renewed"
    del handed[2:]
    lab.main(["class", "--learners", "3"])
    assert handed[2:] == ["class", (["python", "deploy/class/start.py", "--learners", "3"], None)]
    lab.main(["class", "--help"])
    assert handed[4:] == [([sys.executable, "deploy/class/start.py", "--help"], None)], "nothing is installed for it"
    handed.clear()
    lab.main(["--no-browser", "--port", "9001"])
    line = " ".join(handed.pop()[0])
    assert handed.pop() == "rest", "the rest is installed while the lesson is open"
    assert all(word in line for word in ("jupyterlab", "--no-browser", "--port=9001", lab.FIRST_LESSON))
    assert (ROOT / lab.FIRST_LESSON).is_file()
    assert lab.main(["setup"]) == 0 and not handed, "the set-up opens nothing"
    monkeypatch.setattr(lab, "machine_fault", lambda machine, folder: "Python 3.9 is too old. Install another.")
    monkeypatch.setattr(lab, "another_python", lambda own: ["py", "-3.14"])
    lab.main(["test", "-q"])
    assert handed.pop()[0] == ["py", "-3.14", ROOT / "lab.py", "test", "-q"], "another Python goes on"
    monkeypatch.setattr(lab, "another_python", lambda own: None)
    with pytest.raises(Stop, match="too old"):
        lab.main(["setup"])


def test_what_a_command_needs_besides_is_installed_once(commands):
    for name in ("site", "site", "class", "class"):
        lab.extra_packages("python", name)
    assert commands == ["data/environments/site.txt", "data/environments/class.txt"]


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
    for name in ("lab.py", "requirements.txt", "uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run([sys.executable, str(folder / "lab.py"), "setup"], capture_output=True, text=True)
    assert done.returncode == 1 and "PATH separator" in done.stderr and "Traceback" not in done.stderr

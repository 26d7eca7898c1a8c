"""setup.venv: made once, mended after any interruption, and never taken for whole when it isn't."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from setup import venv as venvs
from setup.programs import Stop
from setup.venv import fingerprint, read_state, ready_venv, sweep_half_installed, venv_fault, write_state

ROOT = Path("/home/ann/slm-lab")
MADE = {"made": str(ROOT)}


@pytest.mark.parametrize(
    "state, version, word",
    [
        (MADE, "3.11.7", None),
        (MADE, "3.13.0", None),
        (None, "3.12.1", None),  # made by hand, and good
        (None, None, "half-made"),
        ({"made": None}, "3.12.1", "stopped while making it"),
        ({}, "3.12.1", "stopped while making it"),
        ({"made": "/elsewhere"}, "3.12.1", "another folder"),
        (MADE, None, "its Python is gone"),
        (MADE, "3.10.2", "its Python is 3.10.2"),
        (MADE, "3.14.0", "its Python is 3.14.0"),
    ],
)
def test_a_venv_serves_or_the_reason_is_named(tmp_path, state, version, word):
    fault = venv_fault(tmp_path, ROOT, state, version)
    assert fault is None if word is None else word in fault


def test_a_missing_venv_is_no_secret(tmp_path):
    assert venv_fault(tmp_path / "none", ROOT, None, None) == "none here yet"


def test_the_state_is_kept_and_added_to(tmp_path):
    assert read_state(tmp_path) is None
    write_state(tmp_path, made="x")
    write_state(tmp_path, packages="y")
    assert read_state(tmp_path) == {"made": "x", "packages": "y"}
    assert [one.name for one in tmp_path.iterdir()] == ["lab.json"]


def test_a_state_that_was_cut_off_counts_as_nothing_done(tmp_path):
    (tmp_path / "lab.json").write_text('{"made": "/ho')
    assert read_state(tmp_path) == {}


def pins(folder, requirements="torch==2.13.0\n", project="[project]\n"):
    (folder / "requirements.txt").write_text(requirements)
    (folder / "pyproject.toml").write_text(project)
    return folder


def test_the_fingerprint_changes_with_a_pin_the_metadata_or_python(tmp_path):
    prints = {
        fingerprint(pins(tmp_path), "3.11.7"),
        fingerprint(pins(tmp_path, requirements="torch==2.14.0\n"), "3.11.7"),
        fingerprint(pins(tmp_path, project="[project]\nname='x'\n"), "3.11.7"),
        fingerprint(pins(tmp_path), "3.12.1"),
    }
    assert len(prints) == 4
    assert fingerprint(pins(tmp_path), "3.11.7") in prints


@pytest.fixture
def quick(monkeypatch):
    """No pip, and a record of what would have been run: making a whole .venv takes seconds."""
    commands = []

    def watch(command):
        commands.append([str(part) for part in command])
        folder = Path(command[-1])
        python = folder / venvs.platform_choices(venvs.platform.system())["python"]
        python.parent.mkdir(parents=True)
        python.write_text("a python")
        return 0, []

    monkeypatch.setattr(venvs, "watch", watch)
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (0, []))
    monkeypatch.setattr(venvs, "version_of", lambda python: "3.12.1" if Path(python).exists() else None)
    return commands


def test_a_first_run_makes_a_venv_and_a_second_one_none(tmp_path, quick, capsys):
    folder = tmp_path / ".venv"
    python, version = ready_venv(folder, tmp_path)
    assert python.exists() and version == "3.12.1" and len(quick) == 1
    said = capsys.readouterr().out
    assert "none here yet" in said and said.startswith("[1/6] Making .venv"), "lab.py counts its steps to 6"
    assert ready_venv(folder, tmp_path) == (python, version) and len(quick) == 1


@pytest.mark.parametrize("left", ["an empty folder", "a folder without python", "a run that was stopped"])
def test_a_half_made_venv_is_made_anew(tmp_path, quick, left):
    folder = tmp_path / ".venv"
    (folder / "lib").mkdir(parents=True)
    if left == "a folder without python":
        (folder / "pyvenv.cfg").write_text("home = /gone")
    if left == "a run that was stopped":
        write_state(folder, made=None)
    ready_venv(folder, tmp_path)
    assert len(quick) == 1 and not (folder / "lib").exists()
    assert read_state(folder) == {"made": str(tmp_path)}


def test_what_was_half_made_is_not_vouched_for_before_it_is_whole(tmp_path, quick, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(venvs, "pip_install", killed)
    with pytest.raises(KeyboardInterrupt):
        ready_venv(tmp_path / ".venv", tmp_path)
    assert read_state(tmp_path / ".venv") == {"made": None}


def test_a_pip_that_can_not_be_had_does_not_stop_the_setup(tmp_path, quick, monkeypatch, capsys):
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (1, ["ERROR: no"]))
    ready_venv(tmp_path / ".venv", tmp_path)
    assert "going on with the one that came with Python" in capsys.readouterr().out


def test_a_venv_made_by_hand_is_taken_as_it_is(tmp_path, quick):
    python = tmp_path / ".venv" / venvs.platform_choices(venvs.platform.system())["python"]
    python.parent.mkdir(parents=True)
    python.write_text("a python")
    ready_venv(tmp_path / ".venv", tmp_path)
    assert quick == [] and read_state(tmp_path / ".venv") == {"made": str(tmp_path)}


def test_a_python_without_ensurepip_is_told_the_apt_line(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(venvs.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(Stop, match=r"sudo apt install python3\.\d+-venv"):
        ready_venv(tmp_path / ".venv", tmp_path)
    assert not (tmp_path / ".venv").exists()


def test_a_venv_that_python_could_not_make_shows_its_last_words(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(venvs, "watch", lambda command: (1, ["Error: no space"]))
    with pytest.raises(Stop, match="no space"):
        ready_venv(tmp_path / ".venv", tmp_path)


def test_a_folder_that_can_not_be_written_is_named_with_a_way_out(tmp_path, quick):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Stop, match="can't be written.*copy SLM Lab to a folder of your own"):
        ready_venv(tmp_path / "file" / ".venv", tmp_path)


def test_packages_without_their_file_list_are_forgotten_and_whole_ones_kept(tmp_path):
    packages = venvs.platform_choices(venvs.platform.system())["packages"].replace("*", "3.12")
    site = tmp_path / packages
    for name, whole in (("good-1.dist-info", True), ("half-2.dist-info", False)):
        (site / name).mkdir(parents=True)
        (site / name / "METADATA").write_text("Name: x")
        if whole:
            (site / name / "RECORD").write_text("")
    (site / "~umpy").mkdir()
    sweep_half_installed(tmp_path)
    assert [one.name for one in site.iterdir()] == ["good-1.dist-info"]


def test_version_of_tells_a_python_from_what_is_none(tmp_path):
    assert venvs.version_of(sys.executable) == "{}.{}.{}".format(*sys.version_info[:3])
    assert venvs.version_of(tmp_path / "gone") is None
    broken = tmp_path / "python"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    assert venvs.version_of(broken) is None


def test_the_state_survives_a_copy_of_the_folder_only_as_another_folders(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / ".venv").mkdir(parents=True)
    write_state(first / ".venv", made=str(first))
    shutil.copytree(first, second)
    state = json.loads((second / ".venv" / "lab.json").read_text())
    assert "another folder" in venv_fault(second / ".venv", second, state, "3.12.1")

"""setup.venv: made once, mended after any interruption, and never taken for whole when it isn't."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setup import venv as venvs
from setup.programs import Stop
from setup.venv import fingerprint, read_state, ready_venv, sweep_half_installed, venv_fault, write_state

ROOT = Path("/home/ann/slm-lab")
MADE = {"made": str(ROOT)}
INSIDE = venvs.platform_choices(venvs.platform.system())


def test_a_venv_serves_or_the_reason_is_named(tmp_path):
    for state, version, word in (
        (MADE, "3.11.7", None),
        (None, "3.12.1", None),  # made by hand, and good
        (None, None, "half-made"),
        ({"made": None}, "3.12.1", "stopped while making it"),
        ({}, "3.12.1", "stopped while making it"),
        ({"made": "/elsewhere"}, "3.12.1", "another folder"),
        (MADE, None, "its Python is gone"),
        (MADE, "3.10.2", "its Python is 3.10.2"),
        (MADE, "3.14.0", "its Python is 3.14.0"),
    ):
        fault = venv_fault(tmp_path, ROOT, state, version)
        assert fault is None if word is None else word in fault
    assert venv_fault(tmp_path / "none", ROOT, None, None) == "none here yet"


def test_the_state_is_kept_and_added_to_and_one_that_was_cut_off_counts_as_nothing_done(tmp_path):
    assert read_state(tmp_path) is None
    write_state(tmp_path, made="x")
    write_state(tmp_path, packages="y")
    assert read_state(tmp_path) == {"made": "x", "packages": "y"}
    assert [one.name for one in tmp_path.iterdir()] == ["lab.json"]
    (tmp_path / "lab.json").write_text('{"made": "/ho')
    assert read_state(tmp_path) == {}


def test_the_fingerprint_changes_with_a_pin_the_metadata_or_python(tmp_path):
    prints = []
    for requirements, project, version in (
        ("1", "a", "3.11"),
        ("2", "a", "3.11"),
        ("1", "b", "3.11"),
        ("1", "a", "3.12"),
    ):
        (tmp_path / "requirements.txt").write_text(requirements)
        (tmp_path / "pyproject.toml").write_text(project)
        prints.append(fingerprint(tmp_path, version))
        assert prints[-1] == fingerprint(tmp_path, version)
    assert len(set(prints)) == 4


def test_a_real_venv_is_made_and_mended_after_it_broke(tmp_path, monkeypatch):
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (0, []))  # no network here
    folder = tmp_path / ".venv"
    python, version = ready_venv(folder, tmp_path)
    assert subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True).returncode == 0
    assert version == "{}.{}.{}".format(*sys.version_info[:3]) and read_state(folder) == {"made": str(tmp_path)}
    kept = folder / "kept"
    kept.touch()
    assert ready_venv(folder, tmp_path) == (python, version) and kept.exists(), "a whole one is left alone"
    Path(python).unlink()
    assert ready_venv(folder, tmp_path) == (python, version) and not kept.exists(), "a broken one is made anew"


@pytest.fixture
def made(monkeypatch):
    """No pip and no real .venv, which takes seconds: a record of what would have been run."""
    commands = []

    def watch(command):
        commands.append(command)
        python = Path(command[-1]) / INSIDE["python"]
        python.parent.mkdir(parents=True)
        python.write_text("a python")
        return 0, []

    monkeypatch.setattr(venvs, "watch", watch)
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (0, []))
    monkeypatch.setattr(venvs, "version_of", lambda python: "3.12.1" if Path(python).exists() else None)
    return commands


def test_a_half_made_venv_is_made_anew(tmp_path, made, capsys):
    folder = tmp_path / ".venv"
    for number, state in enumerate((None, {"made": None}), start=1):
        (folder / "lib").mkdir(parents=True)
        if state:
            write_state(folder, **state)
        ready_venv(folder, tmp_path)
        assert len(made) == number and not (folder / "lib").exists()
        assert read_state(folder) == {"made": str(tmp_path)}
        shutil.rmtree(folder)


def test_what_was_half_made_is_not_vouched_for_before_it_is_whole(tmp_path, made, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(venvs, "pip_install", killed)
    with pytest.raises(KeyboardInterrupt):
        ready_venv(tmp_path / ".venv", tmp_path)
    assert read_state(tmp_path / ".venv") == {"made": None}


def test_a_venv_made_by_hand_is_taken_as_it_is_and_a_pip_that_cannot_be_had_is_no_fault(
    tmp_path, made, monkeypatch, capsys
):
    python = tmp_path / "by hand" / INSIDE["python"]
    python.parent.mkdir(parents=True)
    python.write_text("a python")
    ready_venv(tmp_path / "by hand", tmp_path)
    assert made == [] and read_state(tmp_path / "by hand") == {"made": str(tmp_path)}
    monkeypatch.setattr(venvs, "pip_install", lambda *what: (1, ["ERROR: no"]))
    ready_venv(tmp_path / ".venv", tmp_path)
    assert "going on with the one that came with Python" in capsys.readouterr().out


def test_a_venv_that_cannot_be_made_says_why_and_what_to_do(tmp_path, made, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Stop, match="can't be written.*copy SLM Lab to a folder of your own"):
        ready_venv(tmp_path / "file" / ".venv", tmp_path)
    monkeypatch.setattr(venvs, "watch", lambda command: (1, ["Error: no space"]))
    with pytest.raises(Stop, match="no space"):
        ready_venv(tmp_path / ".venv", tmp_path)
    monkeypatch.setattr(venvs.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(Stop, match=r"sudo apt install python3\.\d+-venv"):
        ready_venv(tmp_path / "other", tmp_path)
    assert not (tmp_path / "other").exists()


def test_packages_without_their_file_list_are_forgotten_and_whole_ones_kept(tmp_path):
    site = tmp_path / INSIDE["packages"].replace("*", "3.12")
    for name, files in (("good-1.dist-info", ("METADATA", "RECORD")), ("half-2.dist-info", ("METADATA",))):
        (site / name).mkdir(parents=True)
        for file in files:
            (site / name / file).write_text("Name: x")
    (site / "~umpy").mkdir()
    sweep_half_installed(tmp_path)
    assert [one.name for one in site.iterdir()] == ["good-1.dist-info"]

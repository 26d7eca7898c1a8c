"""setup.machine: what differs between machines, tested for all of them on any of them."""

import os
from pathlib import Path, PureWindowsPath

import pytest

from setup.machine import LONGEST_FOLDER, Machine, machine_fault, offline_environment, platform_choices, this_machine

GOOD = Machine("Linux", "x86_64", (3, 12), 64, "2.36", musl=False, long_paths=True)
HERE = Path("/home/ann/slm-lab")


@pytest.mark.parametrize(
    "system, python", [("Linux", "bin/python"), ("Darwin", "bin/python"), ("Windows", "python.exe")]
)
def test_each_system_has_its_place_for_python_in_a_venv(system, python):
    assert platform_choices(system)["python"].endswith(python)


@pytest.mark.parametrize(
    "machine",
    [
        GOOD,
        GOOD._replace(python=(3, 11)),
        GOOD._replace(python=(3, 13)),
        GOOD._replace(processor="aarch64"),
        GOOD._replace(release=""),  # a libc that does not say its version gets the benefit of the doubt
        GOOD._replace(system="Darwin", processor="arm64", release="14.0"),
        GOOD._replace(system="Darwin", processor="arm64", release="26.1"),
        GOOD._replace(system="Windows", processor="AMD64", release=""),
    ],
)
def test_a_machine_that_can_run_the_course_has_no_fault(machine):
    assert machine_fault(machine, HERE) is None


@pytest.mark.parametrize(
    "change, word",
    [
        ({"python": (3, 10)}, "too old"),
        ({"python": (3, 14)}, "too new"),
        ({"bits": 32}, "32-bit"),
        ({"system": "Darwin", "release": "14.5"}, "Intel"),
        ({"system": "Darwin", "processor": "arm64", "release": "13.7"}, "macOS 13.7"),
        ({"release": "2.27"}, "glibc"),
        ({"musl": True, "release": ""}, "glibc"),
    ],
)
def test_a_machine_that_can_not_is_told_why(change, word):
    assert word in machine_fault(GOOD._replace(**change), HERE)


def test_a_wrong_python_is_told_the_line_to_run_next():
    assert "python3.12 lab.py" in machine_fault(GOOD._replace(python=(3, 9)), HERE)
    windows = GOOD._replace(system="Windows", python=(3, 9))
    assert "py -3.12 lab.py" in machine_fault(windows, PureWindowsPath("C:/lab"))


def test_a_folder_no_venv_can_live_in_is_refused():
    assert "Rename" in machine_fault(GOOD, Path("/home/ann/slm:lab"))
    windows = GOOD._replace(system="Windows")
    assert machine_fault(windows, PureWindowsPath("C:/lab")) is None
    assert "Rename" in machine_fault(windows, PureWindowsPath("C:/slm;lab"))


def test_a_long_path_is_refused_only_on_a_windows_that_does_not_take_it():
    long = PureWindowsPath("C:/" + "d" * LONGEST_FOLDER)
    assert "shorter" in machine_fault(GOOD._replace(system="Windows", long_paths=False), long)
    assert machine_fault(GOOD._replace(system="Windows"), long) is None
    assert machine_fault(GOOD._replace(long_paths=False), Path("/" + "d" * 200)) is None


def test_the_machine_that_runs_these_tests_can_run_the_course():
    assert machine_fault(this_machine(), HERE) is None


def test_tests_and_notebooks_ask_no_service_that_the_reader_has_set():
    from slmlab.connecting import services

    variables = {name: "http://127.0.0.1:9" for one in services().values() for name in one.url_variables}
    assert variables and not set(variables) & set(offline_environment(variables, HERE))


SECRETS = "OPENAI_API_KEY HF_TOKEN AZURE_AI_API_KEY AWS_PROFILE GITHUB_TOKEN AZURE_CLIENT_SECRET NGC_APIKEY my_password"


@pytest.mark.parametrize("name", SECRETS.split())
def test_tests_and_notebooks_see_no_key(name):
    assert name not in offline_environment({name: "secret"}, HERE)


def test_tests_and_notebooks_keep_the_rest_and_are_offline():
    given = {"PATH": "/bin", "SLMLAB_CACHE": "/cache", "KEYBOARD": "us", "SLMLAB_OFFLINE": "0", "MPLBACKEND": "TkAgg"}
    clean = offline_environment(given, HERE)
    assert {name: clean[name] for name in ("PATH", "SLMLAB_CACHE", "KEYBOARD")} == {
        name: given[name] for name in ("PATH", "SLMLAB_CACHE", "KEYBOARD")
    }
    assert clean["SLMLAB_OFFLINE"] == clean["HF_HUB_OFFLINE"] == "1"
    assert "MPLBACKEND" not in clean


def test_the_network_hook_comes_first_and_only_once():
    once = offline_environment({"PYTHONPATH": "/mine"}, HERE)
    twice = offline_environment(once, HERE)
    assert twice["PYTHONPATH"].split(os.pathsep) == [str(HERE / "tests" / "no_network"), "/mine"]

"""setup.machine: what differs between machines, tested for all of them on any of them."""

import os
from pathlib import Path, PureWindowsPath

from setup.machine import LONGEST_FOLDER, Machine, machine_fault, offline_environment, this_machine

GOOD = Machine("Linux", "x86_64", (3, 12), 64, "2.36", musl=False, long_paths=True)
WINDOWS = GOOD._replace(system="Windows", processor="AMD64", release="")
HERE = Path("/home/ann/slm-lab")
LONG = PureWindowsPath("C:/" + "d" * LONGEST_FOLDER)


def test_a_machine_that_can_run_the_course_has_no_fault():
    for machine, folder in (
        (this_machine(), HERE),
        (GOOD, HERE),
        (GOOD._replace(python=(3, 11)), HERE),
        (GOOD._replace(processor="aarch64", python=(3, 13)), HERE),
        (GOOD._replace(release=""), HERE),  # a libc that does not say its version gets the benefit of the doubt
        (GOOD._replace(system="Darwin", processor="arm64", release="14.0"), HERE),
        (WINDOWS, LONG),
        (WINDOWS, PureWindowsPath("C:/lab")),
        (GOOD._replace(long_paths=False), Path("/" + "d" * 200)),
    ):
        assert machine_fault(machine, folder) is None, machine


def test_a_machine_that_can_not_is_told_why_and_what_to_run():
    for machine, folder, word in (
        (GOOD._replace(python=(3, 10)), HERE, "too old"),
        (GOOD._replace(python=(3, 9)), HERE, "python3.12 lab.py"),
        (WINDOWS._replace(python=(3, 14)), HERE, "too new"),
        (WINDOWS._replace(python=(3, 9)), HERE, "py -3.12 lab.py"),
        (GOOD._replace(bits=32), HERE, "32-bit"),
        (GOOD._replace(system="Darwin", release="14.5"), HERE, "Intel"),
        (GOOD._replace(system="Darwin", processor="arm64", release="13.7"), HERE, "macOS 13.7"),
        (GOOD._replace(release="2.27"), HERE, "glibc"),
        (GOOD._replace(musl=True, release=""), HERE, "glibc"),
        (GOOD, Path("/home/ann/slm:lab"), "Rename"),
        (WINDOWS, PureWindowsPath("C:/slm;lab"), "Rename"),
        (WINDOWS._replace(long_paths=False), LONG, "shorter"),
    ):
        assert word in machine_fault(machine, folder), machine


def test_tests_and_notebooks_see_no_key_and_ask_no_service_of_the_readers():
    from slmlab.providers import services

    names = {name for one in services().values() for name in (*one.url_variables, *one.key_variables)}
    names |= {"HF_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_SECRET", "NGC_APIKEY", "my_password"}
    assert not names & set(offline_environment(dict.fromkeys(names, "x"), HERE))


def test_tests_and_notebooks_keep_the_rest_and_are_offline():
    given = {"PATH": "/bin", "SLMLAB_CACHE": "/cache", "KEYBOARD": "us"}
    clean = offline_environment(given | {"SLMLAB_OFFLINE": "0", "MPLBACKEND": "TkAgg", "PYTHONPATH": "/mine"}, HERE)
    assert {name: clean[name] for name in given} == given and "MPLBACKEND" not in clean
    assert clean["SLMLAB_OFFLINE"] == clean["HF_HUB_OFFLINE"] == "1"
    twice = offline_environment(clean, HERE)["PYTHONPATH"].split(os.pathsep)
    assert twice == [str(HERE / "tests" / "no_network"), "/mine"], "the hook comes first and only once"

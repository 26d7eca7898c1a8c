"""pinned: what this environment lacks for a model that wants its own, and what such an environment looks like."""

from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
import transformers

from slmlab import pinned
from slmlab.errors import SlmLabError, UnknownName

PINS = dict(pinned._pins(pinned._file()))
MAKE = "python -m venv phi-vision, then phi-vision/bin/pip install -r data/environments/phi-3.5-vision.txt"
VersionInfo = namedtuple("VersionInfo", "major minor micro")


@pytest.fixture
def python(monkeypatch):
    """Lets Python say another version of itself."""

    def say(major, minor):
        told = VersionInfo(major, minor, 7)
        monkeypatch.setattr(pinned, "sys", SimpleNamespace(version_info=told, argv=["pinned"], stderr=None))

    return say


@pytest.fixture
def packages(monkeypatch, python):
    """The environment of the file: its packages on Python 3.11, or others where they are named."""
    python(3, 11)

    def install(**others):
        here = {name: wanted[2:] if wanted.startswith("==") else "1.26.4" for name, wanted in PINS.items()} | others

        def version(package):
            if here[package] is None:
                raise PackageNotFoundError(package)
            return here[package]

        monkeypatch.setattr(pinned, "version", version)

    install()
    return install


def test_the_file_pins_the_versions_of_the_models_card():
    assert PINS["transformers"] == "==4.43.0" and PINS["torch"] == "==2.3.0" and PINS["numpy"] == "<2"
    assert all(wanted.startswith(("==", "<")) and wanted.strip("=<")[0].isdigit() for wanted in PINS.values())


def test_every_pin_carries_its_reason():
    for line in pinned._file().read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or len(line.partition("#")[2].strip()) > 10, line


def test_the_file_says_how_the_environment_is_made():
    text = pinned._file().read_text(encoding="utf-8")
    for command in MAKE.split(", then "):
        assert command in text


def test_here_the_newer_transformers_is_named_and_the_first_fault_says_how_to_mend_it():
    report = pinned.preflight()
    assert not report.ok
    assert report["transformers"].detail == f"{transformers.__version__}; ==4.43.0 is wanted"
    faults = [one for one in report if one.status == "fail"]
    assert [one.mend for one in faults] == [MAKE] + [""] * (len(faults) - 1)


@pytest.mark.parametrize("name", pinned.PINNED)
def test_with_the_pinned_versions_all_is_well_but_for_the_code_that_is_executed(packages, name):
    report = pinned.preflight(name)
    assert report.ok
    assert [one.name for one in report] == ["Python", *PINS, "the model's own code"]
    assert [one.status for one in report] == ["ok"] * (len(PINS) + 1) + ["warn"]
    assert "trust_remote_code=True" in report["the model's own code"].detail
    assert not any(one.mend for one in report)


@pytest.mark.parametrize(
    ("package", "here", "status", "detail"),
    [
        ("torch", "2.3.0+cpu", "ok", "2.3.0+cpu"),
        ("torch", "2.3.1", "fail", "2.3.1; ==2.3.0 is wanted"),
        ("torch", None, "fail", "isn't installed; ==2.3.0 is wanted"),
        ("transformers", "4.43.0.dev0", "fail", "4.43.0.dev0; ==4.43.0 is wanted"),
        ("numpy", "2.0.0", "fail", "2.0.0; <2 is wanted"),
        ("numpy", "1.22.0", "ok", "1.22.0"),
    ],
)
def test_one_package_decides(packages, package, here, status, detail):
    packages(**{package: here})
    report = pinned.preflight()
    assert (report[package].status, report[package].detail) == (status, detail)
    assert report.ok == (status == "ok")
    assert report[package].mend == (MAKE if status == "fail" else "")


@pytest.mark.parametrize(("version", "status"), [((3, 9), "fail"), ((3, 10), "ok"), ((3, 11), "ok"), ((3, 12), "fail")])
def test_python_itself_must_be_one_that_the_torch_of_then_knows(packages, python, version, status):
    python(*version)
    found = pinned.preflight()["Python"]
    assert (found.status, found.mend) == (status, MAKE if status == "fail" else "")
    assert found.detail.startswith(f"{version[0]}.{version[1]}, and torch 2.3 wants")


@pytest.mark.parametrize(
    ("name", "words"),
    [("phi-3.5-visoin", "Available: phi-3.5-vision"), ("smollm2-135m", "needs no environment of its own"), ("", "Av")],
)
def test_a_model_that_needs_no_environment_is_refused(name, words):
    with pytest.raises(UnknownName, match=words):
        pinned.preflight(name)


def test_a_copy_without_the_file_says_how_to_get_it_back(monkeypatch, tmp_path):
    monkeypatch.setattr(pinned, "__file__", str(tmp_path / "slmlab" / "pinned.py"))
    with pytest.raises(SlmLabError, match="git checkout -- data/environments"):
        pinned.preflight()


@pytest.mark.parametrize("name", pinned.PINNED)
def test_why_not_names_both_ways_out(name):
    text = pinned.why_not(name)
    assert text.startswith(name) and "no class in Transformers 5" in text
    assert f"slmlab.load('{name}', engine='onnx')" in text and f"python -m slmlab.pinned {name}" in text


def test_the_command_prints_the_report_and_fails_here(capsys):
    assert pinned.main(["phi-3.5-vision"]) == 1
    said = capsys.readouterr()
    assert f"FAIL  transformers          {transformers.__version__}; ==4.43.0 is wanted" in said.out
    assert f"-> {MAKE}" in said.out and said.err == ""


def test_the_command_succeeds_in_the_right_environment(packages, capsys):
    assert pinned.main([]) == 0
    assert capsys.readouterr().out.count("\n") == len(PINS) + 3, "Python, the packages, the code, the summary"


def test_the_command_says_an_unknown_name_on_the_other_channel(capsys):
    assert pinned.main(["phi-9"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("'phi-9' needs no environment of its own. Available: phi-3")


def test_the_command_reads_its_own_arguments(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["pinned", "phi-9"])
    assert pinned.main() == 1 and "phi-9" in capsys.readouterr().err

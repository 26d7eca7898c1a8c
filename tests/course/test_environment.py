"""environment: the interpreter, the kernel that notebooks get, the packages against their pins."""

import importlib.metadata
import json
import sys

import pytest

from course import doctor as environment
from slmlab.catalog import DATA

PINS = DATA.parent / "requirements.txt"


@pytest.fixture
def jupyter_folder(tmp_path, monkeypatch):
    """A folder that Jupyter looks into first; gives a function that registers the kernel python3 in it."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)

    def register(text):
        spec = tmp_path / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(text)

    return register


@pytest.mark.parametrize(
    ("version", "status"), [((3, 9, 1), "fail"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 15, 0), "warn")]
)
def test_python_is_held_against_what_the_course_supports(monkeypatch, version, status):
    monkeypatch.setattr(sys, "version_info", version)
    found = environment.python()
    assert found.status == status and f"{version[0]}.{version[1]}" in found.detail
    assert bool(found.mend) == (status != "ok")


def test_no_ipykernel_means_no_notebook(monkeypatch):
    monkeypatch.setattr(environment, "version", lambda package: None)
    found = environment.kernel()
    assert found.status == "fail" and found.mend == "python lab.py setup"


@pytest.mark.parametrize("program", ["python", "python3", sys.executable])
def test_a_kernel_that_starts_this_interpreter_is_right(jupyter_folder, program):
    jupyter_folder(json.dumps({"argv": [program, "-m", "ipykernel_launcher"]}))
    assert environment.kernel().status == "ok"


def test_a_kernel_of_another_environment_is_found_even_when_both_link_to_one_python(jupyter_folder, tmp_path):
    other = tmp_path / "other" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.symlink_to(sys.executable)
    jupyter_folder(json.dumps({"argv": [str(other)]}))
    found = environment.kernel()
    assert found.status == "warn" and "another interpreter" in found.detail
    assert found.mend.endswith("-m ipykernel install --sys-prefix --name python3")
    assert str(tmp_path) not in found.detail + found.mend


def test_a_missing_kernel_is_mended_by_registering_it(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "no kernel" in environment.kernel().detail


def test_inside_a_notebook_the_kernel_is_right(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", sys)
    assert "this notebook" in environment.kernel().detail


def test_the_pins_are_those_of_the_requirements_file():
    pins = environment._pins()
    assert pins["onnxruntime-genai"] and pins["torch"]
    assert all(f"\n{name}=={version}" in PINS.read_text() for name, version in pins.items())


def test_a_missing_package_fails_and_one_for_tests_only_warns(monkeypatch):
    here = environment.version
    monkeypatch.setattr(environment, "version", lambda name: None if name == "tokenizers" else here(name))
    assert environment.packages().status == "fail" and "tokenizers" in environment.packages().detail
    monkeypatch.setattr(environment, "version", lambda name: None if name == "nbval" else here(name))
    assert environment.packages().status == "warn" and "tests only" in environment.packages().detail


def test_another_version_warns_with_both_numbers_and_a_build_mark_is_no_other_version(monkeypatch):
    pins = {"torch": "2.13.0", "numpy": "2.4.6"}
    monkeypatch.setattr(environment, "_pins", lambda: pins)
    monkeypatch.setattr(environment, "version", {"torch": "2.13.0+cpu", "numpy": "2.4.6"}.get)
    assert environment.packages().status == "ok"
    monkeypatch.setattr(environment, "version", {"torch": "2.13.0+cpu", "numpy": "2.5.0"}.get)
    assert environment.packages().detail == "not the tested version: numpy 2.5.0 (pinned: 2.4.6)"


def test_outside_a_clone_the_installed_metadata_is_asked_and_pip_mends(monkeypatch):
    monkeypatch.setattr(environment, "_requirements", lambda: None)
    asked = ["torch>=2.7", "no-such-package>=1", 'pytest>=9; extra == "dev"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: asked)
    found = environment.packages()
    assert found.status == "fail" and found.detail == "missing: no-such-package"
    assert found.mend.endswith("-m pip install no-such-package")
    assert not found.mend.startswith(("/", "\\")), "a line to type holds no machine's path"

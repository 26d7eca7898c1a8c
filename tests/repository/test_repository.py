"""The files of the house agree: pins, package, conda, devcontainer, CI, README."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST_COMMAND = "python lab.py test"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pins(file="requirements.txt"):
    """Package to (version, reason), as requirements.txt has them."""
    rows = [line for line in read(file).splitlines() if line and not line.startswith(("#", "-e"))]
    found = {}
    for row in rows:
        match = re.fullmatch(r"([A-Za-z0-9-]+)(?:\[\w+\])?==(\d[\w.]*)(?: ; [^#]+)? +# (.+)", row)
        assert match, f"not `name==version  # reason`: {row}"
        found[match[1].lower()] = (match[2], match[3])
    return found


def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


def bounds(*extras):
    """Package to its bounds in pyproject.toml: those of some extras, or all but those of the other runtimes."""
    optional = project()["optional-dependencies"]
    lines = [line for extra in extras or set(optional) - {"runtimes"} for line in optional[extra]]
    lines += [] if extras else project()["dependencies"]
    return {re.match(r"[A-Za-z0-9-]+", line)[0].lower(): line for line in lines}


def test_every_pin_is_exact_and_says_why():
    assert len(pins()) > 15
    assert all(len(reason) > 10 for _, reason in pins().values())


def test_the_last_requirement_is_slmlab_itself():
    assert read("requirements.txt").rstrip().splitlines()[-1] == "-e ."


@pytest.mark.parametrize(
    ("bounds", "pins"), [(bounds(), pins()), (bounds("runtimes"), pins("data/environments/runtimes.txt"))]
)
def test_every_bound_of_the_package_holds_for_its_pin_and_every_pin_has_a_bound(bounds, pins):
    assert set(bounds) == set(pins)
    from packaging.requirements import Requirement

    for name, line in bounds.items():
        requirement = Requirement(line)
        assert requirement.specifier, f"{name} has no lower bound"
        assert pins[name][0] in requirement.specifier, f"{line} does not allow the pin {pins[name][0]}"


def test_the_oldest_of_a_runtime_is_the_same_in_the_package_and_in_its_facts():
    from course.runtimes.facts import facts

    loose = bounds() | bounds("runtimes")
    wanted = {one.package: one.at_least for one in facts().values() if one.at_least}
    assert all(f"{name}>={oldest}" in loose[name] for name, oldest in wanted.items())


def test_ci_runs_the_other_runtimes_for_real():
    assert "install --quiet -r data/environments/runtimes.txt" in read(".ci/run")


def test_the_package_takes_the_pythons_that_lab_takes():
    from packaging.specifiers import SpecifierSet

    from setup.machine import NEWEST, OLDEST

    taken = SpecifierSet(project()["requires-python"])
    minors = [(3, minor) for minor in range(6, 20) if f"3.{minor}.5" in taken]
    assert (minors[0], minors[-1]) == (OLDEST, NEWEST)


def test_conda_takes_its_packages_from_the_same_list():
    text = read("environment.yml")
    assert "-r requirements.txt" in text
    assert f"python {project()['requires-python']}" in text
    assert not [name for name in pins() if re.search(rf"^\s*- {re.escape(name)}\b", text, re.MULTILINE)]
    assert f"torch=={pins()['torch'][0]}+cpu" in text, "the hint for Linux names another torch than the pin"


def test_the_codespace_is_small_and_is_set_up_by_lab():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert container["hostRequirements"] == {"cpus": 2, "memory": "8gb", "storage": "32gb"}, "the free machine"
    assert re.search(r"/python:3\.1[123]-", container["image"]), "an explicit Python, not the large default image"
    assert container["updateContentCommand"].endswith("lab.py setup"), (
        "so that prebuilds hold the packages and the model"
    )
    assert container["postCreateCommand"].endswith("-r data/environments/runtimes.txt"), (
        "lesson 09 finds its runtimes there, and nobody waits for them"
    )
    assert {"ms-toolsai.jupyter", "ms-python.python"} <= set(container["customizations"]["vscode"]["extensions"])


def test_the_codespace_opens_at_the_first_lesson():
    import lab

    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert container["customizations"]["codespaces"]["openFiles"] == [lab.FIRST_LESSON]


def test_every_secret_says_what_it_is_for_and_that_none_is_needed():
    secrets = json.loads(read(".devcontainer/devcontainer.json"))["secrets"]
    assert {"OPENAI_API_KEY", "NVIDIA_API_KEY", "FOUNDRY_API_KEY", "HF_TOKEN"} <= set(secrets)
    for secret in secrets.values():
        assert "without it" in secret["description"] and secret["documentationUrl"].startswith("https://")


def test_tests_see_none_of_the_declared_secrets():
    from setup.machine import offline_environment

    secrets = json.loads(read(".devcontainer/devcontainer.json"))["secrets"]
    assert not set(secrets) & set(offline_environment(dict.fromkeys(secrets, "x"), ROOT))


def test_the_workflow_runs_what_readers_run_on_every_system_twice_a_day():
    text = read(".github/workflows/ci.yml")
    for word in ("push:", "pull_request:", "ubuntu-", "windows-", "macos-", '"3.11"', '"3.12"', '"3.13"'):
        assert word in text
    assert "bash .ci/run" in text and TEST_COMMAND in text
    assert re.search(r'cron: "\d+ \d+,\d+ \* \* \*"', text)


def test_every_action_is_pinned_to_a_commit():
    used = re.findall(r"uses: (\S+)", read(".github/workflows/ci.yml"))
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in used)


def test_ci_lints_and_then_runs_the_readers_test_command():
    lines = [line for line in read(".ci/run").splitlines() if line and not line.startswith("#")]
    assert lines[-1] == '"$python" lab.py test', "last, so that the closing line of the tests closes the output"
    assert any("ruff check" in line for line in lines) and any("ruff format --check" in line for line in lines)
    assert "set -euo pipefail" in lines


def test_the_readme_names_the_two_commands():
    text = read("README.md")
    assert TEST_COMMAND in text and re.search(r"^python lab\.py\b", text, re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
def test_the_ci_script_is_good_bash():
    assert subprocess.run(["bash", "-n", ROOT / ".ci/run"]).returncode == 0


def test_notebooks_are_tests_by_default():
    options = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests", "notebooks"]
    for word in ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "--durations"):
        assert word in options["addopts"]


def test_pip_is_not_a_requirement_of_its_own_install():
    from setup.venv import PIP

    assert re.fullmatch(r"pip==\d[\d.]*", PIP)
    assert "pip" not in pins()


def test_line_ends_are_the_same_everywhere():
    assert "eol=lf" in read(".gitattributes"), "notebooks are compared byte by byte, data by hash"


def test_the_code_is_free_and_the_data_speaks_for_itself():
    text = read("LICENSE")
    assert text.startswith("MIT License") and "SLM Lab contributors" in text and "data/README.md" in text
    assert project()["license"] == "MIT" and (ROOT / "data" / "README.md").is_file()

"""No key shows: in no stored lesson, no file of the repository, and no message, output or log of these tests."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.planted import REAL, shown_in

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytest_plugins = ["pytester"]


def test_no_stored_output_holds_a_key():
    for path in LESSONS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = json.dumps([cell.get("outputs", []) for cell in cells])
        assert not REAL.findall(outputs) and not shown_in(outputs), path.name


def test_no_file_of_the_repository_holds_a_key():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("a download without git")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    files = [file for file in files if file.is_file() and file.suffix != ".png"]
    assert len(files) > 100
    assert not [file for file in files if REAL.search(file.read_text(encoding="utf-8", errors="replace"))]


WATCHED = """
import logging, sys
from slmlab.errors import ProviderError
KEY = "nvapi-" + "PLANT" + "ED-77"

def test_prints(): print("asked with", KEY)
def test_warns(caplog): logging.getLogger("sdk").warning("header %s", KEY)
def test_raises():
    try:
        raise ProviderError(f"refused: {KEY}")
    except ProviderError:
        pass
def test_is_quiet(): print("[key]")
"""


def test_the_watch_over_the_suite_sees_a_key_wherever_it_shows(pytester, capsys):
    """The suite's own conftest, over tests that show a key in each way: a watch that can't fail proves nothing."""
    pytester.makeconftest("from tests.conftest import *\n")
    pytester.makepyfile(WATCHED)
    pytester.makeini(f"[pytest]\npythonpath = {ROOT.as_posix()}\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["*shows a planted key*"])
    capsys.readouterr()  # what the inner run said is no output of this test

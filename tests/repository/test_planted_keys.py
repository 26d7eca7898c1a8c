"""No key shows: in no stored lesson, no file of the repository, and no message, output or log of these tests."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import pytest_runtest_makereport
from tests.planted import REAL, shown_in

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


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


def test_the_watch_over_the_suite_fails_a_test_that_shows_a_key():
    said = [("stdout", "asked with nvapi-" + "PLANT" + "ED-77")]
    report = SimpleNamespace(when="call", passed=True, outcome="passed", sections=said)
    watch = pytest_runtest_makereport(SimpleNamespace(nodeid="a test"), None)
    next(watch)
    with pytest.raises(StopIteration):
        watch.send(report)
    assert report.outcome == "failed"

"""No key shows in a file of the repository, lessons with their outputs among them."""

import re
import subprocess

import pytest

from tests.conftest import ROOT

# What real keys look like, of the services of the course and of others: long, after a beginning of their own.
REAL = re.compile(
    r"\b(?:nvapi-|gh[opsur]_|github_pat_|glpat-|sk-|hf_|pypi-|npm_|xox[abp]-|AIza|eyJ[\w-]+\.eyJ)[A-Za-z0-9_-]{20,}"
    r"|\bAKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY"
)


def test_no_file_of_the_repository_holds_a_key():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("a download without git")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    files = [file for file in files if file.is_file() and file.suffix != ".png"]
    assert len(files) > 100
    assert not [file for file in files if REAL.search(file.read_text(encoding="utf-8", errors="replace"))]

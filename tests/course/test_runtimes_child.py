"""runtimes.child: lines of JSON in and out, on the cores that it was given."""

import json
import os
import subprocess
import sys

import pytest

from course.runtimes import child
from tests.planted_package import COUNTING, plant


def said(*words, asked=()):
    command = [sys.executable, "-m", "course.runtimes.child", *words]
    text = "".join(f"{json.dumps(one)}\n" for one in asked)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_answers_each_line_and_ends_with_its_input(tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", COUNTING)
    start, done, judged = said("llama.cpp", asked=[{"read": [1], "write": 2}, {"judge": [1, 7, 7]}])
    assert start["version"] == "2026.11" and done["ids"] == [7, 8]
    assert judged == {"logprobs": [-0.6931472] * 2, "favourites": [7, 7]}


def test_what_is_absent_is_all_it_says(tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", "import a_part_that_is_missing")
    (told,) = said("llama.cpp")
    assert told["absent"].startswith("python -m pip install xllamacpp==") and "a_part_that_is_missing" in told["absent"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system lets nobody choose cores")
def test_it_is_on_its_cores_before_a_runtime_is_imported(tmp_path, monkeypatch):
    count = COUNTING.replace("    def __init__(self, params):\n        pass", "    def __init__(self, params):\n"
                             "        raise RuntimeError")  # fmt: skip
    seen = "import os, sys\nsys.exit(f'cores: {sorted(os.sched_getaffinity(0))}')\n" + count
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", seen)
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "course.runtimes.child", "llama.cpp", "--cores", str(core)]
    assert f"cores: [{core}]" in subprocess.run(command, capture_output=True, text=True).stderr


def test_cores_that_nobody_has_are_passed_over():
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    child._stay_on([100_000])
    assert before is None or os.sched_getaffinity(0) == before

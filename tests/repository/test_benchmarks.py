"""benchmarks/lessons: a notebook's time and memory, and the table of both."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STARTS = ("import_ms", "load_s", "first_token_ms", "first_token_later_ms")


@pytest.fixture
def lessons(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import lessons

    return lessons


def test_a_notebook_is_run_in_a_kernel_of_its_own_and_its_memory_is_seen(lessons, tmp_path):
    path = tmp_path / "01_lesson.ipynb"
    hold = "held = bytearray(300_000_000)\nimport time\ntime.sleep(1)"
    path.write_text(nbformat.writes(new_notebook(cells=[new_code_cell(hold)])), encoding="utf-8")
    before = path.read_bytes()
    found = lessons.executed(path)
    assert found.name == "01_lesson" and found.run_s > 1 and found.peak_bytes > 300_000_000
    assert path.read_bytes() == before, "it is measured, and not stored"


def test_the_table_has_a_row_for_each_notebook_and_their_sum(lessons):
    found = [lessons.Lesson("00_start_here", 10.2, 600_000_000), lessons.Lesson("01_slm_vs_llm", 50.1, 1_500_000_000)]
    text = lessons.table(dict.fromkeys(STARTS, [1.0, 2.0, 3.0]), found)
    assert "| 00_start_here | 10 s | 0.60 GB |" in text and "| **all 2** | **60 s** (goal: 480) | |" in text
    assert "| import and load, warm | 2.00 (1.00 to 3.00) s |" in text
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert all(page.count(mark) == 1 for mark in lessons.MARKS), "the README has the place for the tables"


def test_figures_of_a_busy_machine_are_refused(lessons):
    lessons.refuse_busy(0.1)
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        lessons.refuse_busy(0.5)

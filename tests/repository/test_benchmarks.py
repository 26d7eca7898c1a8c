"""benchmarks/lessons: a notebook's time and memory."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_notebook_is_run_in_a_kernel_of_its_own_and_its_memory_is_seen(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import lessons

    path = tmp_path / "01_lesson.ipynb"
    hold = "held = bytearray(300_000_000)\nimport time\ntime.sleep(1)"
    path.write_text(nbformat.writes(new_notebook(cells=[new_code_cell(hold)])), encoding="utf-8")
    before = path.read_bytes()
    found = lessons.executed(path)
    assert found.name == "01_lesson" and found.run_s > 1 and found.peak_bytes > 300_000_000
    assert path.read_bytes() == before, "it is measured, and not stored"

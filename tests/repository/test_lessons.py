"""The stored lessons: executed, current, in their normal form, and linked as the course promises."""

import re
from pathlib import Path

import nbformat
import pytest

from tools import normal_form

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_lessons_named_by_number_and_idea():
    assert LESSONS and all(re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem) for path in LESSONS)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_stored_lesson_is_current_and_keeps_what_every_lesson_promises(path):
    found = normal_form.faults(path)
    assert not found, "\n".join([path.name, *found, f"Run: python lab.py notebooks {path.stem}"])
    cells = nbformat.read(path, as_version=4).cells
    lines = sorted(cell.source.count("\n") + 1 for cell in cells if cell.cell_type == "code")
    assert lines[len(lines) // 2] <= 4, "the median cell is longer than what a projector shows beside its explanation"
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for promise in (r"\A# ", r"\d+ minutes", r"[\d.]+ GB", r"offline: yes", r"You will be able to"):
        assert re.search(promise, prose[0]), f"it does not open with {promise}"


def test_exercises_stand_in_their_lesson_as_starters_that_do_not_pass():
    """What starters and solutions are worth is proved in test_exercises.py; here, that the lesson holds each."""
    from course.exercises.registry import exercises

    found = set()
    for path in LESSONS:
        for cell in nbformat.read(path, as_version=4).cells:
            if "exercise" in cell.metadata.get("tags", []):
                assert any("Not yet" in str(output.get("data", {})) for output in cell.outputs)
                found.add((path.stem, cell.source.strip()))
    assert found == {(one.lesson, one.starter.strip()) for one in exercises().values()}

"""The stored lessons: executed, current, in their normal form, and linked as the course promises."""

import re
from pathlib import Path

import nbformat
import pytest

from tools import normal_form

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_there_are_lessons():
    assert LESSONS, "notebooks/ holds no lesson, and every test here would pass over nothing"


@each_lesson
def test_the_stored_lesson_is_executed_and_current(path):
    found = normal_form.faults(path)
    assert not found, "\n".join([path.name, *found, f"Run: python lab.py notebooks {path.stem}"])


@each_lesson
def test_the_lesson_is_named_by_number_and_idea(path):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)


@each_lesson
def test_half_of_the_code_cells_have_four_lines_or_fewer(path):
    lines = sorted(cell.source.count("\n") + 1 for cell in cells(path, "code"))
    assert lines[len(lines) // 2] <= 4, "the median cell is longer than what a projector shows beside its explanation"


@each_lesson
def test_every_link_to_a_file_of_the_course_leads_somewhere(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (path.parent / target).exists()]
    assert not missing, f"{path.name} links to {missing}"


@each_lesson
def test_the_opening_says_minutes_memory_and_offline(path):
    opening = cells(path, "markdown")[0].source
    assert opening.startswith("# ")
    for promise in (r"\d+ minutes", r"[\d.]+ GB", r"offline: yes", r"You will be able to"):
        assert re.search(promise, opening), f"{path.name} does not open with {promise}"


@each_lesson
def test_its_exercises_stand_in_it_as_starters_that_do_not_pass(path):
    """What starters and solutions are worth is proved in test_exercises.py; here, that the lesson holds each."""
    from course.exercises.registry import exercises

    wanted = {one.starter.strip(): one.id for one in exercises().values() if one.lesson == path.stem}
    found = {cell.source.strip(): cell for cell in cells(path, "code") if "exercise" in cell.metadata.get("tags", [])}
    assert found.keys() == wanted.keys(), f"{path.name} and data/exercises.toml differ"
    for cell in found.values():
        assert any("Not yet" in str(output.get("data", {})) for output in cell.outputs)

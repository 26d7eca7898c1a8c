"""tools/instructors: the stored page and slides are current, and a path that a changed lesson broke is told."""

import re
import tomllib

import nbformat

from tools import instructors


def test_the_stored_page_and_the_slides_are_those_that_the_command_writes(capsys):
    assert instructors.main(["--check"]) == 0, capsys.readouterr().out


def test_each_fault_of_a_path_is_named():
    about = tomllib.loads(instructors.TOML.read_text(encoding="utf-8"))["06_github_models"]
    lesson = nbformat.read(instructors.ROOT / "notebooks" / "06_github_models.ipynb", as_version=4)
    every = [[heading, 1] for _, level, heading in instructors.headings(lesson) if level == 2]
    for changed, fault in (
        ({"path": [["A stream, peace by peace", 20]]}, "no heading .*Nearest: 'A stream, piece by piece'"),
        ({"path": [["A stream, piece by piece", 9]]}, "takes 9 minutes, and 20 are wanted"),
        ({"path": every}, "slides, and 15 are the most"),
    ):
        assert re.search(fault, "\n".join(instructors.faults(lesson, about | changed))), fault
    assert "has no ask, skip" in instructors.faults(lesson, {"before": "", "path": [], "expect": ""})[0]
    lesson.cells = [cell for cell in lesson.cells if 'predict.answer("github-gone"' not in cell.source]
    assert instructors.faults(lesson, about) == ["the prediction 'github-gone' has no answer"]

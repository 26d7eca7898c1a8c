"""The stored lessons: executed, current, in their normal form; and as texts: short cells, a picture's words, steps."""

import re

import nbformat
import pytest

from tests.conftest import LESSONS
from tools import normal_form

# three lessons make a model: there the code is the lesson
SHORT = [path for path in LESSONS if path.stem[:2] not in ("10", "11", "12")]
STEPS = {"00": ["warm-up", "apply"]}  # twenty minutes hold two exercises
MOST_CELLS, MOST_WORDS, FEWEST_CHARACTERS = 50, 80, 20


def read(path):
    return nbformat.read(path, as_version=4).cells


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_stored_lesson_is_current_and_keeps_what_every_lesson_promises(path):
    found = normal_form.faults(path)
    assert not found, "\n".join([path.name, *found, f"Run: python lab.py notebooks {path.stem}"])
    cells = read(path)
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
        for cell in read(path):
            if "exercise" in cell.metadata.get("tags", []):
                assert any("Not yet" in str(output.get("data", {})) for output in cell.outputs)
                found.add((path.stem, cell.source.strip()))
    assert found == {(one.lesson, one.starter.strip()) for one in exercises().values()}


# As texts


def prose(source: str) -> str:
    """The words of a cell that are read one after the other: no code, no table, no words for a picture."""
    source = re.sub(r"```.*?```|`[^`\n]+`|!\[.*?\]\([^)]*\)|\]\([^)]*\)", " ", source, flags=re.DOTALL)
    return "\n".join(line for line in source.splitlines() if not line.startswith(("|", "<!--")))


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_a_lesson_is_short_and_says_at_least_as_much_as_it_runs(path):
    cells = read(path)
    ends = (at for at, cell in enumerate(cells) if re.search(r"^## Going deeper", cell.source, re.MULTILINE))
    main = cells[: next(ends, len(cells))]
    texts = [cell for cell in main if cell.cell_type == "markdown"]
    assert len(main) <= MOST_CELLS and 2 * len(texts) >= len(main), (len(main), len(texts))
    long = {cell.id: words for cell in cells[1:] if cell.cell_type == "markdown"
            and (words := len(re.findall(r"\w[\w'’.,-]*", prose(cell.source)))) > MOST_WORDS}  # fmt: skip
    assert not long, f"more than {MOST_WORDS} words in a cell: {long}"


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_the_exercises_go_in_three_steps(path):
    heads = re.findall(r"^#+ (Exercise .+)$", "\n".join(cell.source for cell in read(path)), re.MULTILINE)
    steps = STEPS.get(path.stem[:2], ["warm-up", "apply", "stretch"])
    named = [rf"Exercise {number} · {step} · \S.*" for number, step in enumerate(steps, 1)]
    assert len(heads) == len(named) and all(map(re.fullmatch, named, heads)), heads


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_a_picture_says_what_it_shows_and_a_plots_caption_is_text(path):
    for cell in read(path):
        if cell.cell_type == "markdown":
            said = re.findall(r"!\[(.*?)\]\(", cell.source, re.DOTALL)
            assert all(len(words) >= FEWEST_CHARACTERS for words in said), f"cell {cell.id}: {said} says too little"
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            assert "<Figure" not in data.get("text/plain", ""), f"cell {cell.id}: a bare picture of a plot"
            for figure in re.findall(r"<figure.*?</figure>", data.get("text/html", ""), re.DOTALL):
                alt, caption = (re.search(form, figure) for form in (r' alt="([^"]*)"', r"<figcaption[^>]*>([^<]+)"))
                assert alt and caption and len(alt[1]) >= FEWEST_CHARACTERS, f"cell {cell.id}: no alt text, no caption"

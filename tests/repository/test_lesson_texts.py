"""The lessons as texts: short cells, a picture's words, predictions that are answered, exercises in three steps."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
# the cloud and the runtimes, from 06 on, still have more and longer cells
LESSONS = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem[:2] <= "05"]
STEPS = {"00": ["warm-up", "apply"]}  # twenty minutes hold two exercises
MOST_CELLS, MOST_WORDS, FEWEST_CHARACTERS = 50, 80, 20


def read(path):
    return nbformat.read(path, as_version=4).cells


def prose(source: str) -> str:
    """The words of a cell that are read one after the other: no code, no table, no words for a picture."""
    source = re.sub(r"```.*?```|`[^`\n]+`|!\[.*?\]\([^)]*\)|\]\([^)]*\)", " ", source, flags=re.DOTALL)
    return "\n".join(line for line in source.splitlines() if not line.startswith(("|", "<!--")))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_short_and_says_at_least_as_much_as_it_runs(path):
    cells = read(path)
    ends = (at for at, cell in enumerate(cells) if re.search(r"^## Going deeper", cell.source, re.MULTILINE))
    main = cells[: next(ends, len(cells))]
    texts = [cell for cell in main if cell.cell_type == "markdown"]
    assert len(main) <= MOST_CELLS and 2 * len(texts) >= len(main), (len(main), len(texts))
    long = {cell.id: words for cell in cells[1:] if cell.cell_type == "markdown"
            and (words := len(re.findall(r"\w[\w'’.,-]*", prose(cell.source)))) > MOST_WORDS}  # fmt: skip
    assert not long, f"more than {MOST_WORDS} words in a cell: {long}"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_guess_is_the_learners_own_and_the_exercises_go_in_three_steps(path):
    code = "\n".join(cell.source for cell in read(path) if cell.cell_type == "code")
    asked, answered = (set(re.findall(rf'predict{call}\(\s*"([\w-]+)"', code)) for call in ("", r"\.answer"))
    assert "my_guess" not in code and asked and asked == answered
    heads = re.findall(r"^#+ (Exercise .+)$", "\n".join(cell.source for cell in read(path)), re.MULTILINE)
    steps = STEPS.get(path.stem[:2], ["warm-up", "apply", "stretch"])
    named = [rf"Exercise {number} · {step} · \S.*" for number, step in enumerate(steps, 1)]
    assert len(heads) == len(named) and all(map(re.fullmatch, named, heads)), heads


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
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

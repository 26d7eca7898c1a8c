"""README.md: what it promises is so."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_table_of_lessons_says_what_the_lesson_says(path):
    opening = nbformat.read(path, as_version=4).cells[0].source
    minutes, memory = re.search(r"\*\*(\d+) minutes · ([\d.]+ GB) of memory", opening).groups()
    row = next(line for line in TEXT.splitlines() if f"](notebooks/{path.name})" in line)
    assert [cell.strip() for cell in row.split("|")[3:6]] == [minutes, memory, "yes"]


def test_the_table_of_services_says_what_the_data_says():
    from slmlab.connecting import services

    for one in services().values():
        row = next((line for line in TEXT.splitlines() if line.startswith("|") and f"| `{one.id}` |" in line), "")
        wanted = [*one.url_variables[:1], *one.key_variables[:1]] if one.id != "local" else []
        assert one.id == "local" or all(f"`{word}`" in row for word in wanted) and row, one.id
        assert one.practice is None or f"| `{one.practice}` |" in row or one.id == "local", one.id


def test_every_link_and_picture_is_there():
    targets = re.findall(r"\]\(([^)#\s]+)\)", TEXT)
    assert targets and not [one for one in targets if "://" not in one and not (ROOT / one).exists()]


def test_the_commands_are_real():
    from slmlab.__main__ import _parser

    for command in re.findall(r"python -m slmlab (\w+)", TEXT):
        with pytest.raises(SystemExit) as ended:
            _parser().parse_args([command, "--help"])
        assert ended.value.code == 0, command

"""The measured part of a model's card: tables in Markdown, between two marks that stay."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from training.state import write_whole


def markdown_table(heads: Sequence, rows: Iterable[Sequence]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [heads, ["---"] * len(heads), *rows])


def write_between(path: Path, mark: str, end: str, text: str) -> None:
    """Put a text between two marks of a file, in the place of what stood there."""
    before, rest = path.read_text(encoding="utf-8").split(mark)
    after = rest.split(end)[1]
    write_whole(path, f"{before}{mark}\n{text}\n{end}{after}")

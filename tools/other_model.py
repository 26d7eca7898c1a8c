"""Runs lessons with another model in place of the bundled one, on copies: no lesson reads a setting for it.

python -m tools.other_model MODEL FOLDER LESSON ...     the copies with their outputs are in FOLDER

A lesson takes part by two lines of its own, NAME = "smollm2-135m" and slmlab.load(NAME). In the copy NAME is MODEL,
and nothing may answer in its place.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat

from tools.refresh import Failed, lessons, run

LINES = ((r'(?m)^NAME = "[^"]+"', "NAME = {!r}"), (r"slmlab\.load\(NAME", "slmlab.load(NAME, fallback=False"))


def altered(path: Path, model: str):
    """The lesson with the other model in its two lines."""
    notebook = nbformat.read(path, as_version=4)
    for form, line in LINES:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and re.search(form, cell.source)]
        if len(cells) != 1:
            raise Failed(f"{path.stem} has {len(cells)} cells with {form!r} and needs one.")
        cells[0].source = re.sub(form, lambda _, line=line: line.format(model), cells[0].source)
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("lessons", nargs="+")
    options, code = parser.parse_args(), 0
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel before any other of that name
    options.folder.mkdir(parents=True, exist_ok=True)
    for path in lessons(options.lessons):
        copy = options.folder / path.name
        try:
            nbformat.write(altered(path, options.model), copy)
            nbformat.write(run(copy), copy)
            print(f"{path.stem}: done with {options.model}", flush=True)
        except Failed as failure:
            print(failure, flush=True)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())

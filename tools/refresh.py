"""Runs lessons from top to bottom and stores them in their normal form: running again changes no byte.

python tools/refresh.py [NAME ...]     the named lessons (01, 01_slm_vs_llm), or all
    --measure                              also store new figures of measured cells
    --check                                run nothing; say what is wrong with the stored files
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
sys.path.insert(0, str(ROOT))

from setup.machine import offline_environment  # noqa: E402
from tools.normal_form import faults, keep_measured, normalise, number_cells, sign, stored_bytes  # noqa: E402

CELL_TIMEOUT_S = 1200
AGAIN = "python lab.py notebooks"


class Failed(Exception):
    """A lesson that could not be run to its end; the message names the cell."""


def lessons(names: list[str], folder: Path = FOLDER) -> list[Path]:
    """The files of the named lessons in their order; a name is a number, a beginning, or all of the file's name."""
    everything = sorted(folder.glob("*.ipynb"))
    if not names:
        return everything
    chosen = [path for path in everything if any(path.name.startswith(Path(name).name) for name in names)]
    missing = [name for name in names if not any(path.name.startswith(Path(name).name) for path in chosen)]
    if missing:
        raise Failed(f"No lesson {', '.join(missing)}. There are: {', '.join(path.stem for path in everything)}.")
    return chosen


def run(path: Path, show=lambda done, total: None):
    """The lesson with fresh outputs, from a kernel without network or keys."""
    notebook = nbformat.read(path, as_version=4)
    reached = {"index": 0}

    def begin(cell, cell_index):
        reached["index"] = cell_index
        show(cell_index, len(notebook.cells))

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=begin,
        extra_arguments=["--log-level=40"],  # the kernel's warnings about itself are not the lesson's
    )
    try:
        client.execute(env=offline_environment(os.environ, ROOT) | {"SLMLAB_TRAINING": "anew"})
    except CellExecutionError as error:
        raise Failed(_at(path, notebook, reached["index"], f"{error.ename}: {error.evalue}")) from error
    except CellTimeoutError as error:
        raise Failed(_at(path, notebook, reached["index"], f"not done after {CELL_TIMEOUT_S} s")) from error
    except DeadKernelError as error:
        raise Failed(_at(path, notebook, reached["index"], "the kernel died, most likely out of memory")) from error
    return notebook


def _at(path, notebook, index, what):
    cell = notebook.cells[index]
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"{path.stem}, cell {index + 1} ({cell.get('id', 'no id')}): {what}\n    {first}\n  Nothing was stored."


def refresh(path: Path, measure: bool = False, show=lambda done, total: None) -> bool:
    """Run and store one lesson; whether the file changed."""
    stored = nbformat.read(path, as_version=4)
    fresh = normalise(run(path, show))
    number_cells(fresh)
    if not measure:
        keep_measured(fresh, normalise(stored))
    sign(fresh)
    return write_whole(path, stored_bytes(fresh))


def write_whole(path: Path, content: bytes) -> bool:
    """Replace the file at once or not at all; whether anything changed."""
    if path.exists() and path.read_bytes() == content:
        return False
    half = path.with_name(f".{path.name}.half")
    try:
        half.write_bytes(content)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return True


def check(paths: list[Path]) -> int:
    count = 0
    for path in paths:
        for fault in faults(path):
            count += 1
            print(f"{path.name}: {fault}")
    print(f"{len(paths)} notebooks, {count} faults." + (f" Most are mended by: {AGAIN}" if count else ""))
    return 1 if count else 0


def refresh_all(paths: list[Path], measure: bool) -> int:
    live, code = sys.stdout.isatty(), 0
    for path in paths:
        started = time.perf_counter()

        def show(done, total, path=path):
            print(f"\r{path.stem}: cell {done + 1} of {total}   " if live else "", end="", flush=True)

        try:
            changed = refresh(path, measure, show)
        except Failed as failure:
            print(f"\r{failure}")
            code = 1
            continue
        seconds = time.perf_counter() - started
        print(f"\r{path.stem}: {'stored anew' if changed else 'unchanged'}, {seconds:.0f} s".ljust(60), flush=True)
        left = faults(path)
        code = 1 if left else code
        for fault in left:
            print(f"  {fault}")
    return code


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson's number or the beginning of its name")
    parser.add_argument("--measure", action="store_true", help="also store new figures of measured cells")
    parser.add_argument("--check", action="store_true", help="run nothing; say what is wrong with the stored files")
    options = parser.parse_args(words)
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel before any other of that name
    try:
        paths = lessons(options.names)
        return check(paths) if options.check else refresh_all(paths, options.measure)
    except Failed as failure:
        print(failure)
        return 1


if __name__ == "__main__":
    sys.exit(main())

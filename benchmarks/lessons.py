"""How long the course itself takes: a first cell's imports, loading the model, the first token; then every notebook.

Imports, load and first token: each run is a new Python process, in turn with a bare one. Each notebook: a fresh
kernel, with the memory that it takes at most. Goals: imports under 100 ms above bare Python, load under 1 s with files
the system has in memory, first token under 100 ms; all notebooks in eight minutes. --quick runs lesson 00 alone. With
--publish the table goes into benchmarks/README.md.
"""

import os
import statistics
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from measure import finish, machine_in_words, parser, put_between, refuse_busy, spread, used_by_others

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("README.md")
MARKS = ("<!-- lessons: written by python benchmarks/lessons.py --publish -->", "<!-- end of lessons -->")
LOOK_S = 0.1  # between two looks at the memory of a kernel and what it has started

FIRST_CELL = "import slmlab\nfrom slmlab import plots\nfrom course import check, quiz"
ANSWER = """
from time import perf_counter
began = perf_counter()
import slmlab
model = slmlab.load()
loaded = perf_counter()
text = "The lighthouse stood at the end of the long stone pier, and every evening its keeper climbed the stairs. " * 2
ids = model.ids(text)[:32]
from slmlab.records import Sampling, Start, Token
firsts = []
for _ in range(5):
    model.forget()
    start = None
    for event in model.stream(ids, Sampling(max_tokens=4)):
        if isinstance(event, Start):
            start = event.time_s
        elif isinstance(event, Token):
            firsts.append(event.time_s - start)
            break
print(len(ids), loaded - began, firsts[0], sorted(firsts[1:])[len(firsts[1:]) // 2])
"""


@dataclass(frozen=True)
class Lesson:
    """One notebook, executed: how long it took, and the memory of its kernel and what that started, at most."""

    name: str
    run_s: float
    peak_bytes: int


def wall(code: str) -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - began


def starts(runs: int) -> dict[str, list[float]]:
    """Import, load and first tokens, a figure for each run; the first run of all warms the system's cache."""
    wall("pass"), wall(FIRST_CELL)
    above = [(wall(FIRST_CELL) - wall("pass")) * 1000 for _ in range(runs)]
    rows = []
    for _ in range(runs + 1):
        done = subprocess.run([sys.executable, "-c", ANSWER], check=True, capture_output=True, text=True)
        rows.append([float(word) for word in done.stdout.split()])
    load, first, later = ([row[place] for row in rows[1:]] for place in (1, 2, 3))
    in_ms = [[value * 1000 for value in values] for values in (first, later)]
    return {"import_ms": above, "load_s": load, "first_token_ms": in_ms[0], "first_token_later_ms": in_ms[1]}


def executed(path: Path) -> Lesson:
    """Run a notebook as refresh.py and the tests do, and watch its memory meanwhile; nothing is stored."""
    sys.path[:0] = [str(ROOT / "notebooks"), str(ROOT)]
    from tools import refresh

    with Watch() as watch:
        began = perf_counter()
        refresh.run(path)
        return Lesson(path.stem, perf_counter() - began, watch.peak_bytes)


class Watch:
    """The most memory that this process's children took together, looked at from a thread."""

    def __init__(self):
        self.peak_bytes, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        import psutil

        while not self._done.wait(LOOK_S):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:  # it ended while we looked
                    continue
            self.peak_bytes = max(self.peak_bytes, total)


def table(begun: dict[str, list[float]], lessons: list[Lesson]) -> str:
    rows = [
        "| what | median (smallest to largest) | goal |", "| --- | --- | --- |",
        f"| imports of a first cell, above bare Python | {spread(begun['import_ms'], 1)} ms | under 100 ms |",
        f"| import and load, warm | {spread(begun['load_s'], 2)} s | under 1 s |",
        f"| first token, the first prompt of a process | {spread(begun['first_token_ms'], 0)} ms | under 100 ms |",
        f"| first token, later prompts | {spread(begun['first_token_later_ms'], 0)} ms | |",
        "", "| notebook, in a fresh kernel | run | memory at most |", "| --- | --- | --- |",
    ]  # fmt: skip
    rows += [f"| {one.name} | {one.run_s:.0f} s | {one.peak_bytes / 1e9:.2f} GB |" for one in lessons]
    whole = sum(one.run_s for one in lessons)
    return "\n".join([*rows, f"| **all {len(lessons)}** | **{whole:.0f} s** (goal: 480) | |"])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--publish", action="store_true", help="write the tables into benchmarks/README.md")
    told = options.parse_args()
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel before any other of that name
    used, runs = used_by_others(), 5 if told.quick else 15
    begun = starts(runs)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))[: 1 if told.quick else None]
    lessons = []
    for path in notebooks:
        lessons.append(executed(path))
        print(f"{path.stem}: {lessons[-1].run_s:.0f} s, {lessons[-1].peak_bytes / 1e9:.2f} GB", flush=True)
    about = f"{machine_in_words()}; {runs} processes, a prompt of 32 tokens; other programs used {used:.0%} of a core"
    print(f"\n{about}\n\n{table(begun, lessons)}")
    if told.publish:
        refuse_busy(used)
        put_between(MARKS, f"{about}.\n\n{table(begun, lessons)}", TABLE)
    finish(
        **{name: statistics.median(values) for name, values in begun.items()},
        notebooks=len(lessons),
        notebooks_s=sum(one.run_s for one in lessons),
        peak_memory_gb=max(one.peak_bytes for one in lessons) / 1e9,
    )


if __name__ == "__main__":
    main()

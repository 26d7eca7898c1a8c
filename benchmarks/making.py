"""Making and tuning a model on this machine: what the cells of lessons 10 to 12 take, and what the knobs of LoRA do.

python benchmarks/making.py            a table: seconds and memory of each cell that takes more than two seconds
python benchmarks/making.py --knobs    the points of lesson 11's figure, into data/making.json; a quarter of an hour

The code is the lessons' own: their cells are run here, so that no recipe stands twice.
"""

import argparse
import gc
import json
import os
import resource
import time
from pathlib import Path

import nbformat
from tabulate import tabulate

from course.making.training import MODE

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "data" / "making.json"
RANKS, RATES, CASES = (1, 8, 64), (0.0003, 0.001, 0.003, 0.01), 100
FULL = ("all", 0.0001)  # every weight; it wants a smaller rate, and 4 GB
FRUITS, PARTS = "Name three fruits.", ("setup", "tickets", "lora-class", "lora-add", "perplexity")


def cells(lesson: str) -> dict[str, str]:
    notebook = nbformat.read(next((ROOT / "notebooks").glob(f"{lesson}*.ipynb")), as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def measure(lesson: str) -> None:
    """Run a lesson cell by cell, in this process: memory is the most so far, of all lessons."""
    names, rows = {"display": print}, []
    for cell, source in cells(lesson).items():
        began = time.perf_counter()
        exec(compile(source, cell, "exec"), names)
        seconds, peak_gb = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if seconds > 2:
            rows.append((cell, f"{seconds:.0f}", f"{peak_gb:.1f}"))
    print(tabulate(rows, (f"lesson {lesson}", "seconds", "GB"), tablefmt="github"), flush=True)


def knobs() -> None:
    names, parts = {}, cells("11")
    for cell in PARTS:
        exec(compile(parts[cell], cell, "exec"), names)
    making, new, points = names["making"], names["new"], []
    chats, plain = making.Chats(names["folder"], names["ASK"]), making.Chats(names["folder"])
    test = making.tickets(CASES, seed=2, of="test")
    for rank, rate in [(rank, rate) for rank in RANKS for rate in RATES] + [FULL]:
        net = new() if rank == "all" else names["add_lora"](new(), rank)

        def four_of(step, net=net):
            return chats.loss(net, names["learn"][4 * step : 4 * step + 4])

        making.train("knobs", net, four_of, steps=40, rate=rate)
        found = {"exact": chats.exact(net, test).right, "perplexity": round(names["perplexity"](net), 1)}
        points.append({"rank": rank, "rate": rate, **found, "name three fruits": plain.says(net, FRUITS, 25)})
        print(points[-1], flush=True)
        del net
        gc.collect()
    TARGET.write_text(json.dumps({"cases": CASES, "points": points}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knobs", action="store_true", help="measure the points of lesson 11's figure anew")
    chosen = parser.parse_args()
    os.environ[MODE] = "anew"
    os.chdir(ROOT / "notebooks")
    if chosen.knobs:
        knobs()
    else:
        for lesson in ("10", "11", "12"):
            measure(lesson)

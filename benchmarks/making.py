"""Making and tuning a model on this machine: what each cell of lessons 10 and 11 takes, and what the knobs of LoRA do.

python benchmarks/making.py            a table: seconds and peak memory of each cell that takes long
python benchmarks/making.py --knobs    every point of lesson 11's playground, into data/making.json; about half an hour

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

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "data" / "making.json"
RANKS, RATES, STEPS, CASES = (1, 8, 64), (0.0003, 0.001, 0.003, 0.01), 40, 100
PARTS = ("setup", "tickets", "rows", "guesses", "exact", "lora-class", "lora-add", "says")


def cells(name: str) -> dict[str, str]:
    notebook = nbformat.read(next((ROOT / "notebooks").glob(f"{name}*.ipynb")), as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def measure(name: str) -> None:
    """Run a lesson cell by cell, in this process."""
    names, rows = {}, []
    for cell, source in cells(name).items():
        began = time.perf_counter()
        exec(compile(source, cell, "exec"), names)
        seconds, peak_gb = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if seconds > 2:
            rows.append((cell, f"{seconds:.0f}", f"{peak_gb:.1f}"))
    print(tabulate(rows, (name, "seconds", "GB at most so far"), tablefmt="github"))


def knobs() -> None:
    names, parts = {}, cells("11")
    for cell in PARTS:
        exec(compile(parts[cell], cell, "exec"), names)
    test = names["making"].tickets(CASES, seed=2, of="test")
    plain, points = names["new"](), []
    ways = [(rank, rate) for rank in RANKS for rate in RATES] + [("all", 0.0001)]
    for rank, rate in ways:
        net = names["new"]() if rank == "all" else names["add_lora"](names["new"](), rank)
        if rank == "all":
            net.requires_grad_(True)
        learned, began = sum(one.numel() for one in net.parameters() if one.requires_grad), time.perf_counter()
        names["making"].train("knobs", net, lambda step, net=net: names["four_of"](net, step), steps=STEPS, rate=rate)
        points.append({
            "rank": rank, "rate": rate, "learned": learned, "seconds": round(time.perf_counter() - began),
            "exact": names["exact"](net, test).right, "perplexity": round(names["perplexity"](net), 1),
            "fruits": names["says"](net, "Name three fruits.", 25),
        })  # fmt: skip
        print(points[-1], flush=True)
        del net
        gc.collect()
    base = {"exact": names["exact"](plain, test).right, "perplexity": round(names["perplexity"](plain), 1)}
    TARGET.write_text(json.dumps({"cases": CASES, "base": base, "points": points}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knobs", action="store_true", help="measure the playground's points anew")
    os.environ["SLMLAB_TRAINING"] = "anew"
    os.chdir(ROOT / "notebooks")
    if parser.parse_args().knobs:
        knobs()
    else:
        for lesson in ("10", "11"):
            measure(lesson)

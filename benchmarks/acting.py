"""How many of 100 messages lesson 15's models turn into JSON, asked in four ways: into data/acting.json. Ten minutes.

python benchmarks/acting.py

The schema, the question and the examples are those of the lesson's cells.
"""

import json
import os
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "data" / "acting.json"


def lesson() -> dict:
    """The names that the lesson's first cells give."""
    notebook = nbformat.read(ROOT / "notebooks" / "15_tools.ipynb", as_version=4)
    cells, names = {cell.id: cell.source for cell in notebook.cells}, {}
    for source in (cells["setup"], cells["models"], cells["shop"], cells["exact"].partition("asked =")[0]):
        exec(source, names)
    return names


def measured(names: dict, model, before: list, schema: dict | None) -> dict[str, tuple[int, int]]:
    valid = fields = exact = 0
    for text, right in names["test"]:
        asked = [*before, names["Message"]("user", names["ASK"] + text)]
        said, wanted = model.ask(asked, schema=schema, max_tokens=90).text, json.loads(right)
        exact += said == right
        try:
            found = json.loads(said)
        except ValueError:
            continue
        if isinstance(found, dict):
            valid += found.keys() == wanted.keys()
            fields += sum(found.get(name) == value for name, value in wanted.items())
    count = len(names["test"])
    return {"valid": (valid, count), "fields": (fields, 5 * count), "exact": (exact, count)}


def main() -> None:
    os.chdir(ROOT / "notebooks")
    names = lesson()
    base, clerk, shop, shots = (names[name] for name in ("base", "clerk", "SHOP", "shots"))
    ways = {"bundled, free": (base, [], None), "bundled, schema": (base, [], shop)}
    ways |= {"bundled, four examples, schema": (base, shots, shop), "clerk, schema": (clerk, [], shop)}
    rows = [{"asked": how, **measured(names, *way)} for how, way in ways.items()]
    TARGET.write_text(json.dumps({"messages": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

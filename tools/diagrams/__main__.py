"""Draws the lessons' diagrams: `python -m tools.diagrams`, or `--check` to say which stored ones are out of date.

Sizes come from the cards and configurations, titles from the lessons, and what a model did from data/diagrams.json,
which `--measure` writes anew.
"""

import argparse
import json
import sys

from tools.diagrams import agent, applying, inside, making, scaling, searching, using
from tools.normal_form import ROOT

IMAGES, MEASURED = ROOT / "notebooks" / "images", ROOT / "data" / "diagrams.json"
DIAGRAMS = (using.loop, using.template, using.sampling, using.onnx, using.endpoint)
DIAGRAMS += (using.nim, using.portal, using.runtimes)
DIAGRAMS += (inside.block, inside.attention, inside.kv_cache, inside.grid, inside.vision, inside.experts)
DIAGRAMS += (making.making, making.lora, applying.applications, searching.search, searching.meaning, agent.agent)
DIAGRAMS += (scaling.scale,)


def drawings() -> dict[str, str]:
    """Every diagram by its file's name; the map once for each lesson, which is lit, and once without."""
    seen = json.loads(MEASURED.read_text(encoding="utf-8"))
    maps = {f"map_{number}.svg": using.course_map(number) for number, _ in using.lesson_titles()}
    return {f"{one.__name__}.svg": one(seen) for one in DIAGRAMS} | maps | {"map.svg": using.course_map()}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.diagrams", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say which stored files are out of date")
    parser.add_argument("--measure", action="store_true", help="ask the models again first (a minute)")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        from tools.diagrams.facts import measure

        MEASURED.write_text(json.dumps(measure(), ensure_ascii=False) + "\n", encoding="utf-8")
    stored = {path.name: path.read_text(encoding="utf-8") for path in IMAGES.glob("*.svg")}
    drawn = drawings()
    old = sorted(name for name in stored.keys() | drawn.keys() if stored.get(name) != drawn.get(name))
    for name in () if chosen.check else old:
        if name in drawn:
            (IMAGES / name).write_text(drawn[name], encoding="utf-8", newline="\n")
        else:
            (IMAGES / name).unlink()
    print(f"{'out of date' if chosen.check else 'written'}: {', '.join(old) or 'none'}")
    return int(chosen.check and bool(old))


if __name__ == "__main__":
    sys.exit(main())

"""What a larger model answered to the lessons' own prompts: recorded where it runs, shown where it doesn't.

A recording is data/recordings/MODEL.json. Only `python -m tools.recording MODEL` writes one.
"""

import json
import platform
from pathlib import Path

from slmlab.catalog import DATA
from slmlab.show import Table

FOLDER = DATA / "recordings"


def recorded(question: str) -> Table | None:
    """What each recorded model answered to a question of the lesson; None where there is no recording."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))]
    asked = [(one, said) for one in found for said in one["answers"] if said["question"] == question]
    rows = [(_label(one, said), said["answer"]) for one, said in asked]
    return Table(("model", "its recorded answer"), rows, wrap=100) if rows else None


def _label(one: dict, said: dict) -> str:
    cost = f"{one['precision']}, {said['new_tokens']} tokens in {said['total_s']:.1f} s"
    return f"{one['name']},\nrecorded on {one['date']}\non {one['machine']['cpu']},\n{cost}"


def cpu_name() -> str:
    """The processor's own name: nothing that tells whose machine it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

"""What is still being installed behind the first lesson: lab.py notes it, and an import of it waits, with a bar.

This file is copied into .venv, where every Python runs it as it starts, and goes from there when all is installed. So
nothing half-installed is ever imported, also after a set-up that was killed.
"""

import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

SILENT_S = 20  # a set-up that lives writes its note twice a second


def begin(venv, site, modules, fault=""):
    """From now on, every new Python of this .venv waits for these modules, or hears the fault."""
    note(venv, modules=modules, share=0, status="", fault=fault)
    shutil.copy(__file__, str(site / "lab_waiting.py"))
    (site / "lab_waiting.pth").write_text("import lab_waiting\n", encoding="utf-8")


def note(venv, **how_far):
    half = venv / "later.json.half"
    half.write_text(json.dumps(dict(read(venv) or {}, at=time.time(), **how_far)), encoding="utf-8")
    os.replace(str(half), str(venv / "later.json"))


def end(venv, site):
    for left in (venv / "later.json", site / "lab_waiting.pth", site / "lab_waiting.py"):
        if left.exists():
            left.unlink()


def read(venv):
    try:
        return json.loads((venv / "later.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # on Windows, while it is being replaced
        time.sleep(0.02)
        return read(venv)


class Later:
    """A finder that finds nothing: it lets an import go on when its package is there."""

    def find_spec(self, name, path=None, target=None):
        before, silent = None, 0
        while path is None:
            now = read(Path(sys.prefix))
            if now is None or name not in now["modules"]:
                break
            silent = silent + 0.5 if now == before else 0
            fault = now["fault"] or ("The set-up was stopped." if silent > SILENT_S else "")
            if fault:
                raise ImportError(f"{name} is not installed yet. {fault} In a terminal: python lab.py setup", name=name)
            bar = "█" * int(now["share"] * 16)
            text = f"Waiting for {name}, which is still being installed. {bar:░<16} {now['status']}"
            print("\r" + text.ljust(96), end="", flush=True)  # the width of a cell's output
            before = now
            time.sleep(0.5)
        if before:
            print("\r" + f"{name} is installed.".ljust(96), flush=True)
            importlib.invalidate_caches()


if __name__ == "lab_waiting" and (Path(sys.prefix) / "later.json").exists():
    sys.meta_path.insert(0, Later())

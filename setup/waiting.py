"""What is still being installed in the background: lab.py notes it, and an import of it waits, with a bar.

This file is copied into .venv, where every Python runs it as it starts, and goes from there when all is installed. So
nothing half-installed is ever imported, also after a set-up that was killed.
"""

import contextlib
import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

MODULES = {"opencv-python-headless": "cv2", "azure-ai-inference": "azure", "pillow": "PIL", "pyyaml": "yaml"}
SILENT_S = 45  # a set-up that lives writes its note twice a second, but for a look at the network


def note(file, **changes):
    half = file.with_suffix(".half")
    half.write_text(json.dumps(dict(read(file) or {}, at=time.time(), **changes)), encoding="utf-8")
    with contextlib.suppress(PermissionError):  # on Windows, while another program reads it
        os.replace(str(half), str(file))


def read(file):
    """What was noted; {} if it can't be read, None if there is no such file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def begin(venv, site, pins, fault=""):
    """From now on, every new Python of this .venv waits for these packages, or hears the fault."""
    names = [pin.partition("==")[0] for pin in pins]
    modules = [MODULES.get(name, name.replace("-", "_")) for name in names]
    shutil.copy(__file__, str(site / "lab_waiting.py"))
    hook = f"import lab_waiting; lab_waiting.WaitForInstall({modules})\n"
    (site / "lab_waiting.pth").write_text(hook, encoding="utf-8")
    note(venv / "later.json", share=0, status="", fault=fault)


def end(venv, site):
    for left in (venv / "later.json", site / "lab_waiting.pth", site / "lab_waiting.py"):
        if left.exists():
            left.unlink()


class WaitForInstall:
    """Holds an import until its package is installed. It finds nothing itself: the finders after it do."""

    def __init__(self, modules):
        self.modules = modules
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        before, silent = None, 0
        while path is None and name in self.modules:
            now = read(Path(sys.prefix, "later.json"))
            if now is None:
                break
            silent = silent + 0.5 if now == before else 0
            fault = now.get("fault") or ("The set-up was stopped." if silent > SILENT_S else "")
            if fault:
                raise ImportError(f"{name} is not installed yet. {fault} In a terminal: python lab.py setup", name=name)
            bar = "#" * int(now.get("share", 0) * 16)
            text = f"Waiting for {name}, which is still being installed. [{bar:.<16}] {now.get('status', '')}"
            print("\r" + text.ljust(96), end="", flush=True)  # the width of a cell's output
            before = now
            time.sleep(0.5)
        if before is not None:
            print("\r" + f"{name} is installed.".ljust(96), flush=True)
            importlib.invalidate_caches()

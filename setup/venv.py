"""The .venv: made, or made anew where it can't serve, and the record of what earlier runs finished in it.

Knows nothing about what gets installed into it.
"""

import hashlib
import json
import os
import platform
import shutil
import sys

from setup.machine import NEWEST, OLDEST, output, python_of
from setup.programs import Stop, watch


def read_state(venv):
    """What earlier runs finished in this .venv: made, first, proved, packages. None where lab.py never began one."""
    try:
        return json.loads((venv / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def write_state(venv, **changes):
    half = venv / "lab.json.half"
    half.write_text(json.dumps(dict(read_state(venv) or {}, **changes), indent=1), encoding="utf-8")
    os.replace(str(half), str(venv / "lab.json"))


def fingerprint(root, python_version):
    """Changes when an install would: with the pins, the package's own metadata, or Python."""
    parts = [(root / name).read_bytes() for name in ("requirements.txt", "uv.lock", "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*parts, python_version.encode()])).hexdigest()


def venv_fault(venv, root, state, version):
    """Why the .venv has to be made anew, or None if it serves. `version` is its Python's, "" if that doesn't run."""
    if not venv.exists():
        return "none here yet"
    if state is not None and state.get("made") != str(root):
        return "it was made in another folder" if state.get("made") else "an earlier run was stopped while making it"
    if not version:
        return "it is half-made, or its Python is gone"
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        return f"its Python is {version}"
    return None


def version_of(venv):
    """The .venv's Python, and its version; "" if it doesn't run."""
    python = venv / python_of(platform.system())
    return python, output([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])


def ready_venv(venv, root):
    """The .venv's Python and its version; the .venv is made, or made anew where it has to be."""
    python, version = version_of(venv)
    state = read_state(venv)
    fault = venv_fault(venv, root, state, version)
    if fault:
        print(f"[1/6] Making .venv with Python {platform.python_version()}: {fault}", flush=True)
        try:
            if venv.exists():
                shutil.rmtree(str(venv))
            venv.mkdir()
            write_state(venv, made=None)
        except OSError as error:
            advice = "Close what uses it, or copy SLM Lab to a folder of your own (your home, say) and run it there."
            raise Stop(f"{error.filename or venv} can't be written: {error.strerror}. {advice}") from error
        # without pip, which takes five seconds this way and a moment in the next step
        last = watch([getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--without-pip", venv])[1]
        version = version_of(venv)[1]
        if not version:
            raise Stop(
                "\n".join([*last, "The .venv could not be made. On Debian and Ubuntu: sudo apt install python3-venv."])
            )
    if fault or state is None:  # a whole one that somebody made by hand, or with uv, is used as it is
        write_state(venv, made=str(root))
    return python, version

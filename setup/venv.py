"""The .venv: made, mended or made anew, and the record of what earlier runs finished in it.

Knows nothing about what gets installed into it, but for pip.
"""

# The syntax is that of Python 3.6 here too: an old Python gets as far as the sentence that says it is too old.
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys

from setup.machine import NEWEST, OLDEST, platform_choices
from setup.programs import Stop, pip_install, watch

# Resumes a broken download. Not in requirements.txt: pip can't replace itself in the middle of an install.
PIP = "pip==26.3"


def read_state(venv):
    """What earlier runs finished in this .venv: `made`, `packages`, `proved`. None where lab.py never began one."""
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
    parts = [(root / name).read_bytes() for name in ("requirements.txt", "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*parts, python_version.encode()])).hexdigest()


def version_of(python):
    """The version of the Python at this path, or None if it doesn't run or has no pip."""
    code = "import sys, pip; print('%d.%d.%d' % sys.version_info[:3])"
    try:
        found = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.decode().strip() if found.returncode == 0 else None


def venv_fault(venv, root, state, version):
    """Why the .venv has to be made anew, or None if it serves. `version` is its Python's, None if that doesn't run."""
    if not venv.exists():
        return "none here yet"
    if state is not None and state.get("made") != str(root):
        return "it was made in another folder" if state.get("made") else "an earlier run was stopped while making it"
    if not version:
        return "it is half-made, or its Python is gone"
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        return f"its Python is {version}"
    return None


def ready_venv(venv, root):
    """The .venv's Python and its version; the .venv is made, mended or made anew where it has to be."""
    python = venv / platform_choices(platform.system())["python"]
    state, version = read_state(venv), version_of(python)
    fault = venv_fault(venv, root, state, version)
    if fault:
        print(f"[1/6] Making .venv with Python {platform.python_version()}: {fault}")
        make_venv(venv, python, root)
        version = version_of(python)
    elif state is None:
        write_state(venv, made=str(root))  # made by hand, and good
    return python, version


def make_venv(venv, python, root):
    name = "python{}.{}".format(*sys.version_info[:2])
    if not all(importlib.util.find_spec(part) for part in ("venv", "ensurepip")):
        raise Stop(
            f"This Python can't make a .venv. On Debian and Ubuntu: sudo apt install {name}-venv. Then run again."
        )
    try:
        if venv.exists():
            shutil.rmtree(str(venv))
        venv.mkdir()
        write_state(venv, made=None)
    except OSError as error:
        advice = "Close what uses it, or copy SLM Lab to a folder of your own (your home folder, say) and run it there."
        raise Stop(f"{error.filename or venv} can't be written: {error.strerror}. {advice}") from error
    code, last = watch([getattr(sys, "_base_executable", sys.executable), "-m", "venv", venv])
    if code or not version_of(python):
        raise Stop(
            "\n".join([*last, f"The .venv could not be made. On Debian and Ubuntu: sudo apt install {name}-venv."])
        )
    if pip_install(python, "--retries", "1", PIP)[0]:
        print(f"      {PIP} can't be had here: going on with the one that came with Python.")
    write_state(venv, made=str(root))


def sweep_half_installed(venv):
    """Forget packages that a killed pip left without their list of files, so that pip installs them again."""
    for site in venv.glob(platform_choices(platform.system())["packages"]):
        for left in [*site.glob("~*"), *(info for info in site.glob("*.dist-info") if not (info / "RECORD").is_file())]:
            shutil.rmtree(str(left), ignore_errors=True)

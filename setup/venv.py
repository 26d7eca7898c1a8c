"""The .venv: made, or made anew where it can't serve. Knows nothing about what gets installed into it."""

import hashlib
import platform
import shutil
import sys

from setup.machine import NEWEST, OLDEST, output, python_of
from setup.programs import Stop, watch
from setup.waiting import note, read


def fingerprint(root, python_version):
    """Changes when an install would: with the pins, the package's own metadata, Python, or the folder."""
    parts = [(root / name).read_bytes() for name in ("requirements.txt", "uv.lock", "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*parts, python_version.encode(), str(root).encode()])).hexdigest()


def site_of(venv, version):
    """Where this .venv has its packages."""
    minor = ".".join(version.split(".")[:2])
    return venv / ("Lib/site-packages" if platform.system() == "Windows" else f"lib/python{minor}/site-packages")


def version_of(venv):
    """The .venv's Python, and its version; "" if it doesn't run."""
    python = venv / python_of(platform.system())
    return python, output([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])


def venv_fault(venv, root, state, version):
    """Why the .venv has to be made anew, or None if it serves."""
    if not venv.exists():
        return "none here yet"
    if state is not None and state.get("made") != str(root):
        return "it was made in another folder" if state.get("made") else "an earlier run was stopped while making it"
    if not version:
        return "it is half-made, or its Python is gone"
    if (
        not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST
        or not site_of(venv, version).is_dir()
    ):
        return f"its Python is {version} now"
    return None


def ready_venv(venv, root):
    """The .venv's Python and its version; the .venv is made, or made anew where it has to be."""
    python, version = version_of(venv)
    state = read(venv / "lab.json")
    fault = venv_fault(venv, root, state, version)
    if fault:
        print(f"[1/6] Making .venv with Python {platform.python_version()}: {fault}", flush=True)
        if venv.exists():
            shutil.rmtree(str(venv))
        venv.mkdir()
        note(venv / "lab.json", made=None)
        # without pip, which takes five seconds this way and a moment in the next step
        last = watch([getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--without-pip", venv])[1]
        version = version_of(venv)[1]
        if not version:
            raise Stop(
                "\n".join([*last, "The .venv could not be made: the lines above are those of `python -m venv`."])
            )
    if fault or state is None:  # a whole one that somebody made by hand, or with uv, is used as it is
        note(venv / "lab.json", made=str(root))
    return python, version

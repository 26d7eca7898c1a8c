"""Whether this Python is set up for the course: its version, the notebook kernel, the packages against their pins.

Reads metadata only and imports none of the packages. Knows nothing about models or memory.
"""

import importlib.metadata
import json
import os
import re
import shutil
import sys
from pathlib import Path

from course.findings import Finding
from slmlab.catalog import DATA

PYTHONS = ((3, 11), (3, 13))
FOR_TESTS = {"pytest", "nbval", "nbclient", "nbformat", "ruff", "ollama", "pyyaml", "requests"}


def python() -> Finding:
    now, (low, high) = sys.version_info[:2], PYTHONS
    detail = f"Python {now[0]}.{now[1]}"
    if low <= now <= high:
        return Finding("Python", "ok", detail)
    wants = f"the course is for {low[0]}.{low[1]} to {high[0]}.{high[1]}"
    mend = "install Python 3.12 from python.org, then: python3.12 lab.py (Windows: py -3.12 lab.py)"
    return Finding("Python", "fail" if now < low else "warn", f"{detail}; {wants}", mend)


def kernel() -> Finding:
    name = "notebook kernel"
    if version("ipykernel") is None:
        return Finding(name, "fail", "ipykernel isn't installed, so no notebook can start here", install("ipykernel"))
    if "ipykernel.kernelapp" in sys.modules:
        return Finding(name, "ok", "this notebook runs on the interpreter that has slmlab")
    spec = _first_spec("python3")
    again = f"{this_python()} -m ipykernel install --sys-prefix --name python3"
    if spec is None:
        return Finding(name, "warn", "no kernel named python3 is registered", again)
    if not _starts_this(json.loads(spec.read_text(encoding="utf-8"))["argv"][0]):
        return Finding(name, "warn", "the kernel named python3 starts another interpreter than this one", again)
    return Finding(name, "ok", "the kernel named python3 starts this interpreter")


def _starts_this(program: str) -> bool:
    """Whether a kernel's program is this interpreter. Jupyter puts its own in place of a bare "python". Links are not
    followed: the pythons of two environments are often links to one file."""
    if program in ("python", "python3", f"python3.{sys.version_info[1]}"):
        return True
    return os.path.normcase(Path(program).parent) == os.path.normcase(Path(sys.executable).parent)


def _first_spec(kernel: str) -> Path | None:
    """The kernel.json that Jupyter would take: its own environment's first inside one, else the user's first."""
    home = Path.home()
    if sys.platform == "win32":
        user = Path(os.environ.get("APPDATA", home)) / "jupyter"
    else:
        user = home / ("Library/Jupyter" if sys.platform == "darwin" else ".local/share/jupyter")
    user = Path(os.environ.get("JUPYTER_DATA_DIR", user))
    own = Path(sys.prefix) / "share/jupyter"
    given = [Path(one) for one in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if one]
    for folder in (*given, *((own, user) if _in_environment() else (user, own))):
        spec = folder / "kernels" / kernel / "kernel.json"
        if spec.is_file():
            return spec
    return None


def packages() -> Finding:
    pins = _pins()
    found = {name: version(name) for name in pins}
    missing = [name for name, here in found.items() if here is None]
    other = [
        f"{name} {here} (pinned: {pins[name]})"
        for name, here in found.items()
        if here and pins[name] and here.split("+")[0] != pins[name]
    ]
    if missing:
        only_tests = set(missing) <= FOR_TESTS
        detail = f"missing: {', '.join(missing)}{' (needed for the tests only)' if only_tests else ''}"
        return Finding("packages", "warn" if only_tests else "fail", detail, install(*missing))
    if other:
        return Finding("packages", "warn", f"not the tested version: {', '.join(other)}", install(*other))
    tested = ", in the tested versions" if any(pins.values()) else ""
    return Finding("packages", "ok", f"all {len(pins)} are here{tested}")


def _requirements() -> Path | None:
    file = DATA.parent / "requirements.txt"
    return file if file.is_file() else None


def _pins() -> dict[str, str]:
    """Package to version, from requirements.txt in a clone; else the names that the installed slmlab asks for."""
    file = _requirements()
    if file:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = (re.match(r"([A-Za-z0-9._-]+)==([^\s;#]+)", line) for line in lines)
        return {match[1]: match[2] for match in found if match}
    asked = importlib.metadata.requires("slmlab") or []
    return {re.match(r"[A-Za-z0-9._-]+", one)[0]: "" for one in asked if "extra ==" not in one}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def this_python() -> str:
    """What to type for the interpreter that runs now: relative to the clone, or by the name it most likely has."""
    program, clone = Path(sys.executable), DATA.parent
    if program.is_relative_to(clone):
        return str(program.relative_to(clone))
    if sys.platform == "win32":
        return "python" if _in_environment() else "py"
    return "python" if shutil.which("python") else "python3"


def _in_environment() -> bool:
    return sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ


def install(*packages: str) -> str:
    """In a clone, the set-up itself: it chooses the right build of torch. Elsewhere pip."""
    if _requirements():
        return "python lab.py setup"
    return f"{this_python()} -m pip install {' '.join(one.split()[0] for one in packages)}"

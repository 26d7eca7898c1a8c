"""What is wrong with this machine, and the line that mends each fault: set-up, memory, disk, cache, model, keys.

Quick, changes nothing, imports no runtime, and shows the names of keys, never a value, and no path outside the home.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from course import environment
from course.findings import Finding, Report
from course.troubles import TROUBLES, troubleshooting_markdown
from slmlab.catalog import card
from slmlab.errors import SlmLabError
from slmlab.machines import Machine, machine
from slmlab.providers import providers
from slmlab.show import in_bytes

__all__ = ["Finding", "Report", "examine", "TROUBLES", "troubleshooting_markdown"]

BUNDLED, FORM = "smollm2-135m", "onnx-q4"
COMPARED = ("onnx-int8", "onnx-int4", "onnx-fp32")  # the forms that lessons put beside it
# The bundled model answers in about 0.35 GB, and is made ready in 0.4. The forms that lessons compare take about 2 GB
# to be made, once, and all of them 1.6 GB of disk.
RAM_TO_ANSWER, RAM_TO_CONVERT, DISK_TO_CONVERT = 0.5e9, 2.2e9, 1.7e9
SWITCHES = ("SLMLAB_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def examine() -> Report:
    """Look at everything once. A check that fails itself becomes a finding: a doctor that falls over helps nobody."""
    here = machine()
    checks: dict[str, Callable[[], Finding]] = {
        "Python": environment.python,
        "notebook kernel": environment.kernel,
        "packages": environment.packages,
        "cores": lambda: _cores(here),
        "memory": lambda: _memory(here),
        "disk": lambda: _disk(here),
        "GPU": lambda: _gpu(here),
        "cache": _cache,
        "model": _model,
        "keys": _keys,
        "offline": _offline,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append(check())
        except Exception as fault:  # see above; only the fault's type is shown: its text could hold anything
            findings.append(Finding(name, "warn", f"could not be looked at ({type(fault).__name__})"))
    return Report(tuple(findings))


def _cores(here: Machine) -> Finding:
    detail = f"{here.usable_cores} to use, {here.threads} threads for a model"
    if here.usable_cores == 1:
        return Finding("cores", "warn", f"{detail}: lessons run, at about half their speed")
    return Finding("cores", "ok", detail)


def _memory(here: Machine) -> Finding:
    free = here.ram_available_bytes
    if free is None:
        return Finding("memory", "warn", "how much there is can't be found out", environment.install("psutil"))
    detail = f"{in_bytes(here.ram_total_bytes)}, {in_bytes(free)} free"
    takes = None
    if free < RAM_TO_ANSWER:
        takes = f"the bundled model takes about {in_bytes(RAM_TO_ANSWER)} to answer"
    elif free < RAM_TO_CONVERT and not _all_made():
        takes = f"the forms of the model that lessons compare take {in_bytes(RAM_TO_CONVERT)} to be made, once"
    if takes:
        mend = "close other programs and notebooks (in JupyterLab: Kernel > Shut Down All Kernels)"
        return Finding("memory", "warn", f"{detail}; {takes}", mend)
    return Finding("memory", "ok", detail)


def _disk(here: Machine) -> Finding:
    free = here.disk_free_bytes
    if free is None:
        return Finding("disk", "warn", "how much is free at the cache can't be found out")
    if free < DISK_TO_CONVERT and not _all_made():
        takes = f"the bundled model and its forms take {in_bytes(DISK_TO_CONVERT)}"
        return Finding("disk", "fail", f"{in_bytes(free)} free at the cache; {takes}", _move_cache())
    return Finding("disk", "ok", f"{in_bytes(free)} free at the cache")


def _gpu(here: Machine) -> Finding:
    if here.unified_memory:
        return Finding("GPU", "ok", f"{here.gpu}: shares the RAM")
    if here.gpu is None:
        if shutil.which("nvidia-smi"):
            detail = "nvidia-smi is installed and gives no sensible answer; all runs on the CPU"
            return Finding("GPU", "warn", detail, "nvidia-smi (what it says names the fault, mostly the driver)")
        return Finding("GPU", "ok", "no NVIDIA GPU, and none needed: all runs on the CPU")
    detail = f"{here.gpu}, {in_bytes(here.vram_free_bytes)} of {in_bytes(here.vram_bytes)} free"
    if (environment.version("torch") or "").endswith("+cpu"):
        detail += "; the torch installed here is the CPU build and leaves it idle"
    return Finding("GPU", "ok", detail)


def _cache() -> Finding:
    from slmlab.weights import cache_folder

    folder = cache_folder()
    place = next((one for one in (folder, *folder.parents) if os.path.exists(one)), folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as fault:
        return Finding("cache", "fail", f"{_shown(folder)} can't be written: {fault.strerror}", _move_cache())
    return Finding("cache", "ok", f"{_shown(folder)} can be written")


def _shown(folder: Path) -> str:
    """A folder without the names of this machine's users and disks."""
    try:
        return f"~/{folder.relative_to(Path.home().absolute()).as_posix()}"
    except ValueError:
        return "the folder in SLMLAB_CACHE"


def _move_cache() -> str:
    if sys.platform == "win32":
        return "setx SLMLAB_CACHE D:\\slmlab  (a folder with room that you may write to), then open a new terminal"
    return "export SLMLAB_CACHE=/path/with/room  (a folder that you may write to), then start again from this terminal"


def _all_made() -> bool:
    from slmlab import weights

    return all(weights.is_ready(card(BUNDLED), form) for form in (FORM, *COMPARED))


def _model() -> Finding:
    from slmlab import weights

    try:
        fault = weights.fault_of(weights.place(card(BUNDLED), FORM), thorough=False)
    except (SlmLabError, OSError) as error:
        return Finding("model", "fail", f"{BUNDLED}: {type(error).__name__}", _fetch())
    if fault is None:
        return Finding("model", "ok", f"{BUNDLED} is here and whole, ready to answer without a network")
    return Finding("model", "fail", f"{BUNDLED} {fault}", _fetch())


def _fetch() -> str:
    line = f"{environment.this_python()} -m slmlab fetch"
    return f"{line} --from FILE  (offline: bring the file from another machine)" if _offline_by() else line


def key_variables() -> list[str]:
    """Every variable that a service of the course takes its key from."""
    return ["HF_TOKEN", "NGC_API_KEY", *(name for one in providers().values() for name in one.key_variables)]


def _keys() -> Finding:
    """Which keys are set, by name. Their values are looked at only for spaces, and never leave this function."""
    present = [name for name in key_variables() if os.environ.get(name)]
    odd = [name for name in present if os.environ[name] != os.environ[name].strip() or " " in os.environ[name]]
    if odd:
        detail = f"{', '.join(odd)}: there is a space or a line end in it, and the service will refuse it"
        return Finding("keys", "warn", detail, f"set {odd[0]} again, without spaces or quotes")
    return Finding("keys", "ok", f"set: {', '.join(present)}" if present else "none set, and none needed")


def _offline_by() -> list[str]:
    return [name for name in SWITCHES if os.environ.get(name, "").lower() in ("1", "true", "yes", "on")]


def _offline() -> Finding:
    on = _offline_by()
    detail = f"{', '.join(on)}: nothing is downloaded" if on else "not switched on: what is missing may be downloaded"
    return Finding("offline", "ok", detail)


def register(commands) -> None:
    """Add `doctor` to the commands of `python -m slmlab`."""
    doctor = commands.add_parser("doctor", help="look at this machine and say the line that mends each fault")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_run)


def _run(parsed) -> int:
    report = examine()
    print(json.dumps(report.to_dict(), indent=1) if parsed.json else report)
    return 0 if report.ok else 1

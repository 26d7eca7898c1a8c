"""What is wrong with this machine, and the line that mends each fault: set-up, memory, disk, cache, model, keys.

Quick, changes nothing, and shows the names of keys, never a value, and no path outside the home.
"""

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slmlab import weights
from slmlab.catalog import DATA, card
from slmlab.connecting import services
from slmlab.machine import Machine, best_threads, cache_folder, cores, machine
from slmlab.show import Shown, Table, in_bytes

REQUIREMENTS = DATA.parent / "requirements.txt"  # in a clone
BUNDLED = "smollm2-135m"
FORM = "onnx-q4"  # what answers
COMPARED = (FORM, "onnx-int8", "onnx-int4", "onnx-fp32")  # what lessons put side by side
# The bundled model answers in about 0.35 GB, and is made ready in 0.4. The forms that lessons compare take about 2 GB
# to be made, once, and all of them 1.6 GB of disk.
RAM_TO_ANSWER, RAM_TO_CONVERT, DISK_TO_CONVERT = 0.5e9, 2.2e9, 1.7e9

SIGNS = {"ok": "\N{CHECK MARK} ok", "warn": "! note", "fail": "\N{BALLOT X} mend"}
SETUP = "python lab.py setup"  # it chooses the right build of torch
MOVE_CACHE = "set SLMLAB_CACHE to a folder with room that you may write to, then start again from a new terminal"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is 'ok', 'warn' (lessons run, with a catch) or 'fail'; `mend` is a line to run."""

    name: str
    status: str
    detail: str
    mend: str = ""


class Report(Shown, tuple):
    """What the doctor found. Iterate it, print it, or read `ok`: true when nothing fails."""

    @property
    def ok(self) -> bool:
        return all(finding.status != "fail" for finding in self)

    def _table(self) -> Table:
        columns = 4 if any(one.mend for one in self) else 3
        rows = [(SIGNS[one.status], one.name, one.detail, one.mend)[:columns] for one in self]
        return Table(("", "looked at", "found", "the line that mends it")[:columns], rows, note=self._summary())

    def __str__(self):
        rows = []
        for one in self:
            rows.append((one.status.upper() if one.status == "fail" else one.status, one.name, one.detail))
            rows += [("", "", f"-> {one.mend}")] if one.mend else []
        return str(Table(("", "", ""), rows, note=self._summary()))

    __repr__ = __str__

    def _summary(self) -> str:
        faults, warnings = (sum(one.status == status for one in self) for status in ("fail", "warn"))
        if faults:
            return f"{faults} to mend: run the line of the first, then look again."
        return f"The lessons run. {warnings} to know about." if warnings else "All is well."


def examine() -> Report:
    """Look at everything once. A check that fails itself becomes a finding: a doctor that falls over helps nobody."""
    here = machine()
    checks = {
        "Python": lambda: ("ok", f"Python {sys.version_info[0]}.{sys.version_info[1]}"),
        "notebook kernel": _kernel,
        "packages": _packages,
        "cores": lambda: ("ok", f"{cores()[1]} to use, {best_threads()} threads for a model"),
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
            findings.append(Finding(name, *check()))
        except Exception as fault:  # see above; only the fault's type is shown: its text could hold anything
            findings.append(Finding(name, "warn", f"could not be looked at ({type(fault).__name__})"))
    return Report(findings)


def _kernel() -> tuple[str, ...]:
    if "ipykernel.kernelapp" in sys.modules:
        return "ok", "this notebook runs on the interpreter that has slmlab"
    from jupyter_client.kernelspec import KernelSpecManager

    program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    # Jupyter puts its own Python in place of a bare "python". Links are not followed: the pythons of two environments
    # are often links to one file.
    bare = program in ("python", "python3", f"python3.{sys.version_info[1]}")
    if bare or os.path.normcase(Path(program).parent) == os.path.normcase(Path(sys.executable).parent):
        return "ok", "the kernel named python3 starts this interpreter"
    again = f"{_this_python()} -m ipykernel install --sys-prefix --name python3"
    return "warn", "the kernel named python3 starts another interpreter than this one", again


def _packages() -> tuple[str, ...]:
    if not REQUIREMENTS.is_file():
        return "ok", "as pip has installed them"
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pins = dict(line.split()[0].split("==") for line in lines if line[:1].isalpha())
    found = {name: _version(name) for name in pins}
    missing = [name for name, here in found.items() if here is None]
    told, later = {}, Path(sys.prefix, "later.json")  # lab.py's, while it installs what comes after lesson 00
    if missing and later.exists():
        with suppress(OSError, ValueError):  # it is being written, or was damaged
            told = json.loads(later.read_text(encoding="utf-8"))
        if told.get("fault") and told.get("status"):  # without a status it has not begun yet: it comes after the proof
            return "fail", f"{len(missing)} of {len(pins)} are missing. {told['fault']}", SETUP
        return "warn", f"{len(missing)} of {len(pins)} are on their way; a lesson that needs one waits for it"
    if missing:
        return "fail", f"missing: {', '.join(missing)}", SETUP
    if other := [name for name, pin in pins.items() if found[name].partition("+")[0] != pin]:  # 2.13.0+cpu is a build
        told = ", ".join(f"{name} {found[name]} (pinned: {pins[name]})" for name in other)
        return "warn", f"not the tested version: {told}", SETUP
    return "ok", f"all {len(pins)} are here, in the tested versions"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _this_python() -> str:
    """What to type for the interpreter that runs now: no path outside the clone."""
    program, clone = Path(sys.executable), DATA.parent
    return str(program.relative_to(clone)) if program.is_relative_to(clone) else "python"


def _memory(here: Machine) -> tuple[str, ...]:
    free = here.ram_available_bytes
    detail = f"{in_bytes(here.ram_total_bytes)}, {in_bytes(free)} free"
    if free >= RAM_TO_CONVERT or (free >= RAM_TO_ANSWER and _all_made()):
        return "ok", detail
    needs = f"an answer takes about {in_bytes(RAM_TO_ANSWER)}, making the forms of the model {in_bytes(RAM_TO_CONVERT)}"
    mend = "close other programs and notebooks (in JupyterLab: Kernel > Shut Down All Kernels)"
    return "warn", f"{detail}; {needs}, once", mend


def _disk(here: Machine) -> tuple[str, ...]:
    detail = f"{in_bytes(here.disk_free_bytes)} free at the cache"
    if here.disk_free_bytes >= DISK_TO_CONVERT or _all_made():
        return "ok", detail
    return "fail", f"{detail}; the bundled model and its forms take {in_bytes(DISK_TO_CONVERT)}", MOVE_CACHE


def _all_made() -> bool:
    return all(weights.fault_of(weights.place(card(BUNDLED), form)) is None for form in COMPARED)


def _gpu(here: Machine) -> tuple[str, ...]:
    if here.unified_memory:
        return "ok", f"{here.gpu}: shares the RAM"
    if here.gpu:
        return "ok", f"{here.gpu}, {in_bytes(here.vram_free_bytes)} of {in_bytes(here.vram_bytes)} free"
    if not shutil.which("nvidia-smi"):
        return "ok", "no NVIDIA GPU, and none needed: all runs on the CPU"
    if (_version("torch") or "").endswith("+cpu"):
        return "ok", "NVIDIA's driver is here; the torch installed here is the CPU build and leaves the card idle"
    what = "NVIDIA's driver is here and torch can't use its card; all runs on the CPU"
    return "warn", what, "nvidia-smi (what it says names the fault, mostly the driver)"


def _cache() -> tuple[str, ...]:
    folder = cache_folder()
    home = Path(os.path.expanduser("~")).absolute()  # without the names of this machine's users and disks
    shown = f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else "the folder in SLMLAB_CACHE"
    try:
        with tempfile.TemporaryFile(dir=next(one for one in (folder, *folder.parents) if os.path.exists(one))):
            return "ok", f"{shown} can be written"
    except OSError as fault:
        return "fail", f"{shown} can't be written: {fault.strerror}", MOVE_CACHE


def _model() -> tuple[str, ...]:
    fault = weights.fault_of(weights.place(card(BUNDLED), FORM))
    if fault is None:
        return "ok", f"{BUNDLED} is here and whole, ready to answer without a network"
    mend = f"{_this_python()} -m slmlab fetch"
    mend += " --from FILE  (offline: bring the file from another machine)" if weights.offline() else ""
    return "fail", f"{BUNDLED} {fault}", mend


def key_variables() -> list[str]:
    """Every variable that a service of the course takes its key from."""
    return ["HF_TOKEN", "NGC_API_KEY", *(name for one in services().values() for name in one.key_variables)]


def _keys() -> tuple[str, ...]:
    """Which keys are set, by name. Their values are looked at only for spaces, and never leave this function."""
    present = [name for name in key_variables() if os.environ.get(name)]
    if odd := [name for name in present if [os.environ[name]] != os.environ[name].split()]:
        detail = f"{', '.join(odd)}: there is a space or a line end in it, and the service will refuse it"
        return "warn", detail, f"set {odd[0]} again, without spaces or quotes"
    return "ok", f"set: {', '.join(present)}" if present else "none set, and none needed"


def _offline() -> tuple[str, ...]:
    on = ", ".join(weights.offline())
    return "ok", f"{on}: nothing is downloaded" if on else "not switched on: what is missing may be downloaded"


def register(commands) -> None:
    """Add `doctor` to the commands of `python -m slmlab`."""
    doctor = commands.add_parser("doctor", help="look at this machine and say the line that mends each fault")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_run)


def _run(parsed) -> int:
    report = examine()
    plain = {"ok": report.ok, "findings": [vars(finding) for finding in report]}
    print(json.dumps(plain, indent=1) if parsed.json else report)
    return 0 if report.ok else 1

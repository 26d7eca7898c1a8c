"""What is wrong with this machine, and the line that mends each fault: set-up, memory, disk, cache, model, keys.

Quick, changes nothing, imports no runtime, and shows the names of keys, never a value, and no path outside the home.
"""

import importlib.metadata
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from slmlab.catalog import DATA, card
from slmlab.connecting import services
from slmlab.errors import BadRequest, SlmLabError
from slmlab.machine import Machine, machine
from slmlab.show import html_table, in_bytes, text_table


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is 'ok', 'warn' (lessons run, with a catch) or 'fail'; `mend` is a line to run."""

    name: str
    status: str
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """What the doctor found. Iterate it, print it, or read `ok`: true when nothing fails."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.status != "fail" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, name: str) -> Finding:
        found = [finding for finding in self.findings if finding.name == name]
        if not found:
            raise BadRequest(f"No finding {name!r}. There is: {', '.join(one.name for one in self.findings)}.")
        return found[0]

    def to_dict(self) -> dict:
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}

    def _summary(self) -> str:
        faults = sum(finding.status == "fail" for finding in self.findings)
        warnings = sum(finding.status == "warn" for finding in self.findings)
        if not faults:
            return "All is well." if not warnings else f"Nothing fails; {warnings} to know about."
        return f"{faults} to mend first{f', {warnings} to know about' if warnings else ''}."

    def __str__(self):
        rows = []
        for one in self.findings:
            rows.append((one.status.upper() if one.status == "fail" else one.status, one.name, one.detail))
            rows += [("", "", f"-> {one.mend}")] if one.mend else []
        return f"{text_table(('', '', ''), rows)}\n{self._summary()}"

    def _repr_html_(self):
        rows = [(one.status, one.name, one.detail, one.mend) for one in self.findings]
        return html_table(("", "looked at", "found", "the line that mends it"), rows, note=self._summary())


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
        "Python": python,
        "notebook kernel": kernel,
        "packages": packages,
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
        return Finding("memory", "warn", "how much there is can't be found out", install("psutil"))
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
    if (version("torch") or "").endswith("+cpu"):
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
    line = f"{this_python()} -m slmlab fetch"
    return f"{line} --from FILE  (offline: bring the file from another machine)" if _offline_by() else line


def key_variables() -> list[str]:
    """Every variable that a service of the course takes its key from."""
    return ["HF_TOKEN", "NGC_API_KEY", *(name for one in services().values() for name in one.key_variables)]


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

"""Models that run only in an environment of their own: which one that is, and whether this is it.

    python -m slmlab.pinned phi-3.5-vision

Phi-3-vision and Phi-3.5-vision have no class in Transformers 5, and the code that comes with their weights needs an
older release. Imports nothing that such an environment lacks.
"""

import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from slmlab.errors import SlmLabError, UnknownName, nearest, quoted
from slmlab.findings import Finding, Report

PINNED = ("phi-3-vision", "phi-3.5-vision")
FOLDER, MAKE = "phi-vision", "python -m venv {folder}, then {folder}/bin/pip install -r {file}"


def preflight(name: str = "phi-3.5-vision") -> Report:
    """Whether Transformers could run this model in the environment that Python runs in now."""
    if name not in PINNED:
        raise UnknownName(f"{quoted(name)} needs no environment of its own. {nearest(str(name), list(PINNED))}.")
    file = _file()
    make = MAKE.format(folder=FOLDER, file=f"data/environments/{file.name}")
    right = (3, 10) <= sys.version_info[:2] <= (3, 11)
    said = f"{sys.version_info.major}.{sys.version_info.minor}, and torch 2.3 wants 3.10 or 3.11"
    findings = [Finding("Python", "ok" if right else "fail", said)]
    findings += [_compare(package, wanted) for package, wanted in _pins(file)]
    first = next((place for place, one in enumerate(findings) if one.status == "fail"), None)
    if first is not None:
        findings[first] = replace(findings[first], mend=make)
    own = "comes with the weights and is executed: read it, then pass trust_remote_code=True yourself"
    return Report((*findings, Finding("the model's own code", "warn", own)))


def why_not(name: str) -> str:
    """Why Transformers can't run this model here, and what can."""
    return (
        f"{name} has no class in Transformers 5, and its own code runs only with a Transformers older than 4.49. "
        f"Its ONNX form needs neither: slmlab.load({name!r}, engine='onnx'). For the original, an environment of its "
        f"own: python -m slmlab.pinned {name}."
    )


def _file() -> Path:
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / "environments" / "phi-3.5-vision.txt").is_file():
            return folder / "environments" / "phi-3.5-vision.txt"
    raise SlmLabError("data/environments/phi-3.5-vision.txt is missing: git checkout -- data/environments")


def _pins(file: Path) -> list[tuple[str, str]]:
    """Each package of the file, with the version that it names: '==4.43.0', '<2'."""
    lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for line in filter(None, lines):
        sign = "==" if "==" in line else "<"
        package, wanted = line.split(sign)
        found.append((package, f"{sign}{wanted}"))
    return found


def _compare(package: str, wanted: str) -> Finding:
    try:
        here = version(package)
    except PackageNotFoundError:
        return Finding(package, "fail", f"isn't installed; {wanted} is wanted")
    plain = here.split("+")[0]  # 2.3.0+cpu is 2.3.0
    right = plain == wanted[2:] if wanted.startswith("==") else int(plain.split(".")[0]) < int(wanted[1:])
    return Finding(package, "ok" if right else "fail", here if right else f"{here}; {wanted} is wanted")


def main(arguments: list[str] | None = None) -> int:
    names = sys.argv[1:] if arguments is None else arguments
    try:
        report = preflight(*names[:1])
    except SlmLabError as fault:
        print(fault, file=sys.stderr)
        return 1
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())

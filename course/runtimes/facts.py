"""What a runtime is for, read from data/runtimes.toml, and the line that installs it here.

Knows nothing about how a runtime works, and imports none.
"""

import importlib.metadata
import platform
import re
import tomllib
from dataclasses import dataclass
from functools import cache

from slmlab.catalog import DATA

PINS = (DATA.parent / "requirements.txt", DATA / "environments/runtimes.txt")  # the first in a clone only
EVERY = "python -m pip install -r data/environments/runtimes.txt"


@dataclass(frozen=True)
class Facts:
    """One runtime, whatever forms of the model it runs: who makes it, what it is for, what it needs."""

    id: str
    name: str
    maker: str
    what: str
    choose: str
    formats: str
    platforms: str
    source: str
    grade: str
    install: list[str]
    package: str
    at_least: str | None = None
    runs_on: tuple[str, ...] = ()

    def version(self) -> str | None:
        """That of its package here; None without it."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def need(self) -> str | None:
        """The line that installs it, or why it can't run here; None where it can."""
        from packaging.version import Version

        here = self.version()
        if self.runs_on and this_platform() not in self.runs_on:
            return f"{self.name} has no build for {this_platform()}. It runs on: {', '.join(self.runs_on)}."
        if here is None:
            return self.install_line()
        if self.at_least and Version(here) < Version(self.at_least):
            return f"{self.install_line()}   ({self.package} {here} is too old: {self.at_least} or later)"
        return None

    def install_line(self) -> str:
        """The one line for this runtime, in the tested versions."""
        words = [f"{name}=={pins()[name]}" if name in pins() else name for name in self.install]
        return "python -m pip install " + " ".join(f'"{word}"' if "[" in word else word for word in words)


def this_platform() -> str:
    return f"{platform.system()} {platform.machine()}"


@cache
def facts() -> dict[str, Facts]:
    """Every runtime's facts by its id, in the order of data/runtimes.toml."""
    tables = tomllib.loads((DATA / "runtimes.toml").read_text(encoding="utf-8"))
    return {id: Facts(id, **table) for id, table in tables.items()}


@cache
def pins() -> dict[str, str]:
    """Package, with its extra, to the tested version."""
    texts = [path.read_text(encoding="utf-8") for path in PINS if path.is_file()]
    return dict(re.findall(r"^([\w.\[\]-]+)==([^\s;#]+)", "\n".join(texts), re.MULTILINE))

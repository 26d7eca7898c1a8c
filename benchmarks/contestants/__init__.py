"""Runtimes of the bundled model, a file each, for benchmarks/runtimes.py.

A file lists its CONTESTANTS: a name, to a function that opens it. What it opens has four methods and a size:
`begin(ids)` reads a prompt from nothing and has the next id ready, `go_on(count)` writes as many ids greedily after it,
`judge(ids)` gives the log-probability of each id after the first and the favourite in its place, `close()` ends it, and
`size_bytes` is what it reads from disk. A package that is not installed raises ImportError, with PACKAGE to name it.
"""

from importlib import import_module
from pathlib import Path

FILES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "child")


def names() -> dict[str, str]:
    """Every contestant, to the file that opens it."""
    return {name: file for file in FILES for name in import_module(f"contestants.{file}").CONTESTANTS}


def package_of(name: str) -> str:
    return import_module(f"contestants.{names()[name]}").PACKAGE


def opened(name: str):
    return import_module(f"contestants.{names()[name]}").CONTESTANTS[name]()

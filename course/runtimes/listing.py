"""Who is there: every runtime by its name, a table of what each is for, and whether this machine has it.

Imports a runtime's file when it is asked for, and never the package that the runtime is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from course.runtimes.contract import Runtime
from course.runtimes.facts import EVERY, Facts
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.loading import ENGINES
from slmlab.show import Shown, Table

RUNTIMES = {
    **{f"{engine} {precision}": "built_in.BuiltIn" for engine, each in ENGINES.items() for precision in each},
    "llama.cpp": "llama_cpp.LlamaCpp",
    "openvino": "openvino.OpenVino",
    "mlx": "mlx.Mlx",
    "ollama": "ollama.Ollama",
    "foundry local": "elsewhere.FoundryLocal",
    "qnn": "elsewhere.Qnn",
}


def names() -> tuple[str, ...]:
    """Every runtime by the name that a race and a question take."""
    return tuple(RUNTIMES)


def made(name: str) -> Runtime:
    """A runtime that holds nothing yet."""
    if name not in RUNTIMES:
        raise UnknownName(f"Unknown runtime {quoted(name)}. {nearest(str(name), list(RUNTIMES))}.")
    module, kind = RUNTIMES[name].split(".")
    return getattr(import_module(f"course.runtimes.{module}"), kind)(name)


@dataclass(frozen=True, repr=False)
class Roster(Shown):
    """Every runtime, with its facts and what is missing for it here. Iterate it, or show it."""

    runtimes: tuple[Runtime, ...]

    def __iter__(self) -> Iterator[Runtime]:
        return iter(self.runtimes)

    def _table(self) -> Table:
        """A row for each kind of runtime, whatever precisions it is in the race with."""
        rows = {}
        for runtime in self.runtimes:
            facts = runtime.facts
            here = "no" if runtime.need() else f"yes, {runtime.version}"
            name = facts.name if facts.maker in facts.name else f"{facts.name} ({facts.maker})"
            rows[facts.id] = (name, facts.what, facts.choose, facts.platforms, here)
        heads = ("runtime", "what it is for", "choose it when", "runs on", "here")
        note = f"To have those that this machine can run: {EVERY}"
        return Table(heads, rows.values(), "Runtimes of the bundled model", note)

    def _text(self) -> Table:
        page = self._table()
        rows = [(name, here, choose) for name, _, choose, _, here in page.rows]
        return Table(("runtime", "here", "choose it when"), rows, note=page.note, wrap=110)


def roster() -> Roster:
    """Every runtime with its facts, and whether it is here."""
    return Roster(tuple(made(name) for name in RUNTIMES))


@dataclass(frozen=True, repr=False)
class Answers(Shown):
    """What this machine answers when it is asked for what a runtime needs."""

    facts: Facts
    rows: tuple[tuple[str, str], ...]

    def _table(self) -> Table:
        return Table(("", ""), self.rows, f"{self.facts.name} on this machine", f"Source: {self.facts.source}")

    def _text(self) -> Table:
        return Table(("", ""), self.rows, self.facts.name, wrap=100)


def answers(name: str) -> Answers:
    """The parts that a runtime needs, one by one, and what this machine says to each."""
    runtime = made(name)
    return Answers(runtime.facts, tuple(runtime.answers()))

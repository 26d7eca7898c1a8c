"""Who is there: every runtime by its name, a table of what each is for, and whether this machine has it.

Imports a runtime's file when it is asked for, and never the package that the runtime is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from course.runtimes.contract import Runtime
from course.runtimes.facts import EVERY, Facts
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import Shown, Table

RUNTIMES = {
    "onnx q4": "built_in.BuiltIn",
    "onnx int8": "built_in.BuiltIn",
    "onnx int4": "built_in.BuiltIn",
    "onnx fp32": "built_in.BuiltIn",
    "transformers fp32": "built_in.BuiltIn",
    "transformers bf16": "built_in.BuiltIn",
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


def made(name: str, file: Path | None = None) -> Runtime:
    """A runtime that holds nothing yet; `file` is another GGUF file of the same model, for those that read one."""
    if name not in RUNTIMES:
        raise UnknownName(f"Unknown runtime {quoted(name)}. {nearest(str(name), list(RUNTIMES))}.")
    module, kind = RUNTIMES[name].split(".")
    return getattr(import_module(f"course.runtimes.{module}"), kind)(name, file)


@dataclass(frozen=True)
class Entry:
    """A runtime, its facts, and what is missing for it here: None where nothing is."""

    name: str
    facts: Facts
    need: str | None


@dataclass(frozen=True, repr=False)
class Roster(Shown):
    """Every runtime. Iterate it, or show it."""

    entries: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, name: str) -> Entry:
        return next(one for one in self.entries if one.name == name)

    def _table(self) -> Table:
        """A row for each kind of runtime, whatever precisions it is in the race with."""
        rows = {}
        for one in self.entries:
            told = one.facts
            here = "no" if one.need else f"yes, {told.version()}"
            name = told.name if told.maker in told.name else f"{told.name} ({told.maker})"
            rows.setdefault(told.id, (name, told.what, told.choose, told.platforms, here))
        heads = ("runtime", "what it is for", "choose it when", "runs on", "here")
        note = f"To have those that this machine can run: {EVERY}"
        return Table(heads, rows.values(), "Runtimes of the bundled model", note)

    def _text(self) -> Table:
        page = self._table()
        rows = [(name, here, choose) for name, _, choose, _, here in page.rows]
        return Table(("runtime", "here", "choose it when"), rows, note=page.note, wrap=110)


def roster() -> Roster:
    """Every runtime with its facts, and whether it is here."""
    return Roster(tuple(Entry(name, one.facts, one.need()) for name, one in ((name, made(name)) for name in RUNTIMES)))


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

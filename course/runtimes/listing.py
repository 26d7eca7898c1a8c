"""Who is there: every runtime's name, the way to make one, and a table of what each is for and whether it is here.

Reads the folder: a new file is a new runtime. Imports the files, not the packages that they run.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from course.runtimes.contract import Runtime
from course.runtimes.facts import EVERY, Facts, facts
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import html_table, text_table


@cache
def _makers() -> dict[str, object]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if "\nRUNTIMES = {" in path.read_text(encoding="utf-8"):
            found |= import_module(f"course.runtimes.{path.stem}").RUNTIMES
    order = list(facts())
    return dict(sorted(found.items(), key=lambda item: order.index(item[1]().id)))


def names() -> tuple[str, ...]:
    """Every runtime by the name that a race and a question take."""
    return tuple(_makers())


def made(name: str, file: Path | None = None) -> Runtime:
    """A runtime that holds nothing yet; `file` is another GGUF file of the same model, for those that read one."""
    if name not in names():
        raise UnknownName(f"Unknown runtime {quoted(name)}. {nearest(str(name), list(names()))}.")
    return _makers()[name](file=file)


@dataclass(frozen=True)
class Entry:
    """A runtime, its facts, and what is missing for it here: None where nothing is."""

    name: str
    facts: Facts
    need: str | None


@dataclass(frozen=True, repr=False)
class Roster:
    """Every runtime. Iterate it, or show it."""

    entries: tuple[Entry, ...]

    _HEADS = ("runtime", "what it is for", "choose it when", "runs on", "here")

    def __iter__(self):
        return iter(self.entries)

    def __getitem__(self, name: str) -> Entry:
        found = [one for one in self.entries if one.name == name]
        if not found:
            raise UnknownName(f"Unknown runtime {quoted(name)}. {nearest(str(name), [one.name for one in self])}.")
        return found[0]

    def _rows(self) -> list[tuple[str, ...]]:
        """A row for each kind of runtime, whatever precisions it is in the race with."""
        rows = {}
        for one in self.entries:
            told = one.facts
            here = "no" if one.need else f"yes, {told.version()}"
            name = told.name if told.maker in told.name else f"{told.name} ({told.maker})"
            row = (name, told.what, told.choose, told.platforms, here)
            rows.setdefault(told.id, row)
        return list(rows.values())

    def _note(self) -> str:
        return f"To have those that this machine can run: {EVERY}"

    def __str__(self):
        rows = [(row[0], row[-1], row[2]) for row in self._rows()]
        return f"{text_table(('runtime', 'here', 'choose it when'), rows, wrap=110)}\n{self._note()}"

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._HEADS, self._rows(), "Runtimes of the bundled model", self._note())


def roster() -> Roster:
    """Every runtime with its facts, and whether it is here."""
    made_once = {name: made(name) for name in names()}
    return Roster(tuple(Entry(name, one.facts, one.need()) for name, one in made_once.items()))


@dataclass(frozen=True, repr=False)
class Answers:
    """What this machine answers when it is asked for what a runtime needs."""

    facts: Facts
    rows: tuple[tuple[str, str], ...]

    def __str__(self):
        return f"{self.facts.name}\n{text_table(('', ''), self.rows, wrap=100)}"

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(("", ""), self.rows, f"{self.facts.name} on this machine", f"Source: {self.facts.source}")


def answers(name: str) -> Answers:
    """The parts that a runtime needs, one by one, and what this machine says to each."""
    runtime = made(name)
    return Answers(runtime.facts, tuple(runtime.answers()))

"""What a race found: a record for each runtime, tables, and the sentences that these figures bear.

Knows nothing about how a race is run. Rows that `benchmarks/runtimes.py` has recorded stand for runtimes that aren't
here; they are labelled, and never win.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from statistics import median

from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import Shown, Table, in_bytes

BUSY = 0.15  # of a core, used by others: more makes speeds worthless
CLOSE = 0.1  # speeds that differ by less may change their order in the next race
POOR = 0.1  # of perplexity above fp32: more is another model
AS_GOOD = 0.02
RECORDED = DATA / "runtimes_recorded.json"


@dataclass(frozen=True)
class Result:
    """One runtime's figures. `absent` is what it would take to have it here, `fault` how it ended before its time,
    `recorded` when and where its figures were measured, if not in this race."""

    name: str
    absent: str | None = None
    fault: str | None = None
    recorded: str | None = None
    version: str | None = None
    start_s: float | None = None
    size_bytes: int | None = None
    token_bytes: int | None = None
    resident_bytes: int | None = None
    reads: tuple[float, ...] = ()  # ids per second, a figure for each round
    writes: tuple[float, ...] = ()
    perplexity: float | None = None
    agreement: float | None = None
    loss: float | None = None  # the share by which its perplexity is above that of fp32

    @property
    def ran(self) -> bool:
        return not self.absent and not self.fault

    @property
    def label(self) -> str:
        return f"{self.name} (recorded)" if self.recorded else self.name

    @property
    def reads_tokens_per_s(self) -> float | None:
        return median(self.reads) if self.reads else None

    @property
    def writes_tokens_per_s(self) -> float | None:
        return median(self.writes) if self.writes else None


@cache
def recorded() -> dict[str, Result]:
    """The rows of an earlier race, by name, each with where it is from."""
    told = json.loads(RECORDED.read_text(encoding="utf-8"))
    rows = [row | {"reads": tuple(row["reads"]), "writes": tuple(row["writes"])} for row in told["results"]]
    where = f"{told['date']}, {told['machine']}"
    return {row["name"]: Result(recorded=f"{row['name']} {row['version']} on {where}", **row) for row in rows}


def with_recorded(one: Result) -> Result:
    """A result as it is; of a runtime that isn't here, the recorded one where there is one."""
    found = recorded().get(one.name) if one.absent else None
    return replace(found, absent=one.absent) if found else one


@dataclass(frozen=True, repr=False)
class Results(Shown):
    """The results of a race, the fastest writer first, and what is to be known about the machine meanwhile.

    `others_cores` is how much of a core other programs used."""

    results: tuple[Result, ...]
    about: str
    others_cores: float
    heads = (
        "runtime", "writes, tokens/s", "reads, tokens/s", "starts in", "memory", "on disk", "perplexity",
        "same favourite as fp32",
    )  # fmt: skip

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __getitem__(self, name: str) -> Result:
        known = {one.name: one for one in self.results}
        if name not in known:
            raise UnknownName(f"No {quoted(name)} in this race. {nearest(str(name), list(known))}.")
        return known[name]

    @property
    def busy(self) -> str:
        """Why nobody can conclude anything from these speeds; empty where one can."""
        used = f"Other programs used {self.others_cores:.0%} of a core meanwhile: too busy to conclude who is faster."
        return used if self.others_cores > BUSY else ""

    @property
    def timed(self) -> list[Result]:
        """Those whose speeds were measured in this race."""
        return [one for one in self.results if one.ran and one.reads and one.writes]

    def fastest(self, speed: str, among: list[Result] | None = None) -> list[str]:
        """Who is fastest at "reads" or "writes", of all or of some, and who is too close to tell."""
        rates = {one.name: median(getattr(one, speed)) for one in (self.timed if among is None else among)}
        return [name for name, rate in rates.items() if rate >= max(rates.values()) * (1 - CLOSE)]

    def verdict(self) -> str:
        """What these speeds and this quality say, in a few short sentences."""
        if self.busy or not self.timed:
            return self.busy if self.timed else "None of these runtimes ran on this machine."
        said = f"{_named(self.fastest('writes'), 'write')}. {_named(self.fastest('reads'), 'read')}."
        as_good = [one for one in self.timed if one.loss is not None and one.loss <= AS_GOOD]  # unknown is not good
        names = self.fastest("writes", as_good)
        if not names or names == self.fastest("writes"):
            return said
        return f"{said} Of those that are as good as fp32, {_named(names, 'write')}."

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each runtime that has figures."""
        rows = []
        for one in filter(lambda one: one.ran or one.recorded, self.results):
            perplexity = "unknown" if one.perplexity is None else f"{one.perplexity:.2f}"
            if one.recorded:  # on a longer text: only what it is above fp32 there can be compared
                perplexity = f"{one.loss:+.0%} over fp32"
            agreement = "unknown" if one.agreement is None else f"{one.agreement:.1%}"
            sizes = in_bytes(one.resident_bytes), in_bytes(one.size_bytes)
            speeds = _spread(one.writes), _spread(one.reads), f"{one.start_s:.1f} s"
            rows.append((one.label, *speeds, *sizes, perplexity, agreement))
        return rows

    def left_out(self) -> list[str]:
        """A line for each that didn't run: what it would take, or how it ended; and where its figures are from."""
        told = [f"Recorded by benchmarks/runtimes.py: {one.recorded}." for one in self.results if one.recorded]
        return told + [one.fault or one.absent or "" for one in self.results if not one.ran]

    def note(self) -> str:
        """How it was raced, and how busy the machine was meanwhile."""
        return f"{self.about} Other programs used {self.others_cores:.0%} of a core."

    def _table(self) -> Table:
        note = "\n".join([*self.left_out(), self.note()])
        return Table(self.heads, self.rows(), "One model, every runtime", note)


def _named(names: list[str], does: str) -> str:
    """Such as: q4 writes fastest; q4 and int4 write fastest, too close to tell."""
    one, who = len(names) == 1, " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{who} {does}{'s' * one} fastest{'' if one else ', too close to tell'}"


def _spread(values: tuple[float, ...]) -> str:
    """Median, with the smallest and the largest round."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"

"""What a race found, a record for each runtime, and what the memory gives, as tables for a terminal and a notebook.

Knows nothing about how a race is run.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from itertools import product
from statistics import median

from slmlab.errors import UnknownName, nearest, quoted
from slmlab.measure import read_rates
from slmlab.show import Shown, Table, in_bytes

SIZES = (1_000_000, 8_000_000, 64_000_000, 256_000_000)  # bytes: a core's own cache, the shared one, memory


@dataclass(frozen=True)
class Result:
    """One runtime's figures. `absent` is what it would take to have it here, `fault` how it ended before its time."""

    name: str
    absent: str | None = None
    fault: str | None = None
    version: str | None = None
    start_s: float | None = None
    size_bytes: int | None = None
    token_bytes: int | None = None
    resident_bytes: int | None = None
    reads: tuple[float, ...] = ()  # ids per second, a figure for each round
    writes: tuple[float, ...] = ()
    perplexity: float | None = None
    agreement: float | None = None

    @property
    def ran(self) -> bool:
        return not self.absent and not self.fault

    @property
    def reads_tokens_per_s(self) -> float | None:
        return median(self.reads) if self.reads else None

    @property
    def writes_tokens_per_s(self) -> float | None:
        return median(self.writes) if self.writes else None


@dataclass(frozen=True, repr=False)
class Results(Shown):
    """The results of a race, the fastest writer first, and what is to be known about the machine meanwhile.

    `others_cores` is how much of a core other programs used: above some 0.15, figures are worth little."""

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
            raise UnknownName(f"No {quoted(name)} in this race. {nearest(name, list(known))}.")
        return known[name]

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each runtime that ran."""
        rows = []
        for one in filter(lambda one: one.ran, self.results):
            perplexity = "unknown" if one.perplexity is None else f"{one.perplexity:.2f}"
            agreement = "unknown" if one.agreement is None else f"{one.agreement:.1%}"
            sizes = in_bytes(one.resident_bytes), in_bytes(one.size_bytes)
            speeds = _spread(one.writes), _spread(one.reads), f"{one.start_s:.1f} s"
            rows.append((one.name, *speeds, *sizes, perplexity, agreement))
        return rows

    def left_out(self) -> list[str]:
        """A line for each that didn't run: what it would take, or how it ended."""
        return [one.fault or f"{one.name} isn't here: {one.absent}" for one in self.results if not one.ran]

    def note(self) -> str:
        """How it was raced, and how busy the machine was meanwhile."""
        return f"{self.about} Other programs used {self.others_cores:.0%} of a core."

    def _text(self) -> Table:
        return replace(self._table(), caption="", note="\n".join([*self.left_out(), self.note()]))

    def _table(self) -> Table:
        return Table(self.heads, self.rows(), "One model, every runtime", self.note())

    def _repr_html_(self):
        missing = "".join(f"<li>{escape(line)}</li>" for line in self.left_out())
        return super()._repr_html_() + (f"<ul>{missing}</ul>" if missing else "")


def _spread(values: tuple[float, ...]) -> str:
    """Median, with the smallest and the largest round."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def bandwidth(sizes_bytes: Iterable[int] = SIZES, threads: Iterable[int] = (1, 2), runs: int = 5) -> Table:
    """Read blocks that fit the processor's caches and blocks that don't, with each number of threads, and time it."""
    rows = []
    for size, count in product(sizes_bytes, threads):
        rates = read_rates(size, count, runs)
        rows.append((in_bytes(size), count, in_bytes(median(rates)), in_bytes(max(rates))))
    heads = ("block", "threads", "read per second, median", "best run")
    return Table(heads, rows, source="Only reading is counted; a copy would write as well.")

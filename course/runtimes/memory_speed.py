"""How many bytes a second this machine reads, for blocks that fit its caches and blocks that don't, thread by thread.

What a figure means for a model is measure.speed_limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

from slmlab.measure import read_rates
from slmlab.show import Shown, Table, in_bytes

SIZES = (1_000_000, 8_000_000, 64_000_000, 256_000_000)  # a core's own cache, the shared one, memory


@dataclass(frozen=True, repr=False)
class Bandwidths(Shown):
    """Bytes read per second in each run, by size of the block and number of threads."""

    rates: dict[tuple[int, int], list[float]]

    def _text(self) -> Table:
        rows = [
            (in_bytes(size_bytes), threads, in_bytes(median(rates)), in_bytes(max(rates)))
            for (size_bytes, threads), rates in self.rates.items()
        ]
        return Table(("block", "threads", "read per second, median", "best run"), rows)

    def _table(self) -> Table:
        return replace(self._text(), note="Only reading is counted; a copy would write as well.")


def bandwidth(sizes_bytes: Iterable[int] = SIZES, threads: Iterable[int] = (1, 2), runs: int = 5) -> Bandwidths:
    """Read blocks of each size with each number of threads, some runs each, and time it."""
    return Bandwidths({(size, count): read_rates(size, count, runs) for size in sizes_bytes for count in threads})

"""How many bytes a second this machine reads, for blocks that fit its caches and blocks that don't, thread by thread.

Measured with numpy alone. Knows nothing about models: what a figure means for one is measure.speed_limit.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from slmlab.show import Shown, Table, in_bytes

SIZES = (1_000_000, 8_000_000, 64_000_000, 256_000_000)  # a core's own cache, the shared one, memory
LEAST_BYTES = 200_000_000  # read in each run, whatever the size: a run that is too short measures the starting of it


@dataclass(frozen=True)
class Bandwidth:
    """Bytes read per second from blocks of so many bytes in all, by so many threads: median and best of the runs."""

    size_bytes: int
    threads: int
    bytes_per_s: float
    best_bytes_per_s: float


@dataclass(frozen=True, repr=False)
class Bandwidths(Shown):
    """What was measured, a record for each size and number of threads. Iterate it, or show it."""

    records: tuple[Bandwidth, ...]

    def __iter__(self) -> Iterator[Bandwidth]:
        return iter(self.records)

    def _text(self) -> Table:
        rows = [
            (in_bytes(one.size_bytes), one.threads, in_bytes(one.bytes_per_s), in_bytes(one.best_bytes_per_s))
            for one in self.records
        ]
        return Table(("block", "threads", "read per second, median", "best run"), rows)

    def _table(self) -> Table:
        text = self._text()
        return Table(text.heads, text.rows, note="Only reading is counted; a copy would write as well.")


def bandwidth(sizes_bytes: Iterable[int] = SIZES, threads: Iterable[int] = (1, 2), runs: int = 5) -> Bandwidths:
    """Read blocks of each size with each number of threads, some runs each, and time it.

    The largest of many whole numbers is looked for: one comparison for each number, several at once, so the processor
    waits for the memory and not the other way round. (A sum in floating point is bound by its additions.)
    """
    rates = {(size, count): _rates(size, count, runs) for size in sizes_bytes for count in threads}
    return Bandwidths(tuple(Bandwidth(*block, median(found), max(found)) for block, found in rates.items()))


def _rates(size: int, threads: int, runs: int) -> list[float]:
    import numpy as np

    blocks = [np.ones(max(1, size // threads // 4), dtype=np.int32) for _ in range(threads)]
    times = max(1, LEAST_BYTES // size)

    def read(block) -> None:
        for _ in range(times):
            block.max()

    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(runs + 1):
            began = perf_counter()
            list(pool.map(read, blocks))
            rates.append(sum(block.nbytes for block in blocks) * times / (perf_counter() - began))
    return rates[1:]  # the first run brings the block where it will be read from

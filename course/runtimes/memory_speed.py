"""How many bytes a second this machine reads, for blocks that fit its caches and blocks that don't, thread by thread.

Measured with numpy alone. Knows nothing about models: what a figure means for one is metrics.speed_limit.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from slmlab.errors import BadRequest
from slmlab.show import html_table, in_bytes, text_table

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
class Bandwidths:
    """What was measured, a record for each size and number of threads. Iterate it, or show it."""

    records: tuple[Bandwidth, ...]

    _HEADS = ("block", "threads", "read per second, median", "best run")

    def __iter__(self) -> Iterator[Bandwidth]:
        return iter(self.records)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (in_bytes(one.size_bytes), str(one.threads), in_bytes(one.bytes_per_s), in_bytes(one.best_bytes_per_s))
            for one in self.records
        ]

    def __str__(self):
        return text_table(self._HEADS, self._rows())

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._HEADS, self._rows(), note="Only reading is counted; a copy would write as well.")


def bandwidth(sizes_bytes: Iterable[int] = SIZES, threads: Iterable[int] = (1, 2), runs: int = 5) -> Bandwidths:
    """Read blocks of each size with each number of threads, some runs each, and time it.

    The largest of many whole numbers is looked for: one comparison for each number, several at once, so the processor
    waits for the memory and not the other way round. (A sum in floating point is bound by its additions.)
    """
    sizes, counts = _whole("sizes_bytes", sizes_bytes, 1 << 16), _whole("threads", threads, 1)
    if type(runs) is not int or runs < 1:
        raise BadRequest(f"runs={runs!r}: a whole number, 1 or more.")
    found = []
    for size in sizes:
        for count in counts:
            rates = _rates(size, count, runs)
            found.append(Bandwidth(size, count, median(rates), max(rates)))
    return Bandwidths(tuple(found))


def _whole(what: str, given: Iterable[int], least: int) -> list[int]:
    given = list(given)
    if not given or any(isinstance(one, bool) or not isinstance(one, int) or one < least for one in given):
        raise BadRequest(f"{what}={given!r}: whole numbers, {least:,} or more.")
    return given


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

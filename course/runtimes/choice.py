"""Which models fit a machine and a job, and about how long each takes there: cards, and a race that was measured.

An estimate by the two limits of the lesson: reading takes longer with the arithmetic, writing with the bytes.
"""

from statistics import median

from course.runtimes.contract import MODEL
from course.runtimes.results import POOR, Result, Results
from slmlab.catalog import benchmarks, cards
from slmlab.errors import SlmLabError
from slmlab.machine import Machine, will_it_fit
from slmlab.show import Table, in_bytes


def shortlist(
    race: Results, *, machine: str | Machine | None = None, read: int = 512, write: int = 64, most_s: float = 60,
    least: float = 0, benchmark: str = "MMLU", precision: str = "int4",
) -> Table:  # fmt: skip
    """The models of the course that fit a machine and are done with a job in time, the best in a benchmark first.

    `least` is the lowest score; with 0, models without a published one are listed as well."""
    runtime, read_s, write_s = _best(race, read, write)
    rows = []
    for card in filter(lambda card: card.architecture and (card.ids.hub or card.wheel), cards().values()):
        fit = will_it_fit(card, precision, read + write, machine)[0]
        seconds = read_s * card.active_parameters / MODEL.active_parameters
        seconds += write_s * card.read_bytes(precision) / runtime.token_bytes
        # the lowest published score: who makes a model often reports more
        score = min((one.value for one in benchmarks(model=card.id, benchmark=benchmark)), default=None)
        if fit.verdict != "too big" and seconds <= most_s and (score or 0) >= least:
            told = score or "not published", in_bytes(fit.total_bytes), fit.verdict, f"{seconds:.0f} s"
            rows.append((score or 0, (card.name, *told)))
    rows = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    note = f"Estimated from {runtime.name}, as it was in the race here: {read:,} tokens to read, {write:,} to write."
    nothing = "Nothing fits: allow more time, a lower score or a larger machine."
    return Table(("model", benchmark, f"memory, {precision}", "", "about"), rows, note=note if rows else nothing)


def _best(race: Results, read: int, write: int) -> tuple[Result, float, float]:
    """The runtime that does the job soonest and loses little, with its seconds for reading and for writing."""
    times = [(one, read / median(one.reads), write / median(one.writes))
             for one in race.timed if one.loss is not None and one.loss <= POOR]  # fmt: skip
    if not times:
        raise SlmLabError("No runtime here has both speeds and a known quality: run the race again, when it is quiet.")
    return min(times, key=lambda one: one[1] + one[2])

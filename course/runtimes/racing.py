"""One model on every runtime, in turn: how fast it reads and writes, what it takes, and what its quality is worth.

Each is a process of its own, on the same cores, with the same ids; beside the speed stand perplexity and agreement with
fp32, so that none wins by being wrong. Knows nothing about any runtime.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import sleep

from course.runtimes.contract import CAPACITY, chat_format
from course.runtimes.listing import made, names
from course.runtimes.process import Ended, Worker
from course.runtimes.results import Result, Results
from slmlab.catalog import DATA
from slmlab.errors import whole
from slmlab.machine import memory
from slmlab.measure import agreement, perplexity
from slmlab.show import in_bytes

READ, ASKED = 512, 32  # ids of a long prompt, and of a short one that is written on
PATIENCE_S = 25  # one that would take longer to read the long prompt is slow: it runs one round, with shorter tasks
SHORT_READ, SHORT_WRITTEN = 64, 8
ROOM_BYTES = 1_200_000_000  # free memory that one may need, the others being loaded; the widest form takes 1 GB
FULL = ("transformers fp32", "onnx fp32")  # what quality is compared with: the first of these that runs


def race(
    names: Iterable[str] | None = None,
    rounds: int = 3,
    written: int = 32,
    judged: int = 200,
    show: Callable[[str], None] = print,
) -> Results:
    """Race runtimes of the bundled model: all of them, or those named.

    In each of the `rounds` every runtime reads 512 ids and writes `written` after 32; then each judges `judged` ids of
    a text. One that isn't here, or ends before its time, is in the results with the reason, and the others go on; one
    that would keep everybody waiting runs a single round, with 64 ids to read and 8 to write. `show` gets a short line
    whenever something is done.
    """
    chosen = _checked(names, rounds, written, judged)
    ids = text_ids()[: max(READ, judged)]
    with ExitStack() as stack:
        field = _Field(stack, show)
        for name in chosen:  # one after the other: starting is measured too
            field.enter(name, ids)
        field.run(ids, rounds, written)
        field.score(ids[:judged])
        about = (
            f"{rounds} rounds in turn, medians (smallest to largest): reading {READ} ids, writing {written} after "
            f"{ASKED}; quality on {judged} ids.{field.excused()}"
        )
        return Results(field.ranked(), about, median(field.used) if field.used else None)


def _checked(wanted: Iterable[str] | None, rounds: int, written: int, judged: int) -> list[str]:
    limits = {"rounds": (rounds, 1, 1000), "written": (written, 2, CAPACITY - ASKED), "judged": (judged, 2, 1000)}
    for what, (value, least, most) in limits.items():
        whole(what, value, least, most, f"a whole number from {least} to {most}, please")
    chosen = list(dict.fromkeys(names() if wanted is None else [wanted] if isinstance(wanted, str) else wanted))
    for name in chosen:
        made(name)  # a name that nobody has is refused before anything starts
    return chosen


def text_ids() -> list[int]:
    """The ids that everybody reads: a story and a program from data/texts."""
    texts = [(DATA / "texts" / f"{name}.txt").read_text(encoding="utf-8") for name in ("english", "python")]
    return chat_format().ids("\n".join(texts))


def cores() -> list[int] | None:
    """One logical core for each physical one among those that this process may use; None where nobody can choose."""
    if not hasattr(os, "sched_getaffinity"):  # Windows and macOS
        return None
    first = {}
    for core in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        first.setdefault(siblings.read_text() if siblings.is_file() else core, core)
    return sorted(first.values())


class _Field:
    """Those that run: their processes and what each has shown so far."""

    def __init__(self, stack: ExitStack, show: Callable[[str], None]):
        self._stack, self._show, self._cores = stack, show, cores()
        self._workers: dict[str, Worker] = {}
        self._results: dict[str, Result] = {}
        self._likeliest: dict[str, list[int]] = {}
        self._slow: set[str] = set()
        self.used: list[float] = []

    def enter(self, name: str, ids: list[int]) -> None:
        self._results[name] = Result(name)
        free = memory()[1]
        if free is not None and free < ROOM_BYTES:  # all are loaded at once: the machine must not begin to swap
            told = f"{name} was left out: {in_bytes(free)} of memory are free, and it may take {in_bytes(ROOM_BYTES)}."
            self._note(name, fault=told)
            return self._show(told)
        worker = self._workers[name] = self._stack.enter_context(Worker(name, self._cores))
        with self._going_on(name):
            told = worker.start()
            self._note(name, **told)
            if "absent" in told:
                del self._workers[name]
                return self._show(f"{name} isn't here")
            worker.ask(read=ids[:ASKED], write=SHORT_WRITTEN)  # the first of all is slow everywhere
            tried = worker.ask(read=ids[:ASKED])
            if tried["read_s"] * READ / ASKED > PATIENCE_S:
                self._slow.add(name)
            else:
                worker.ask(read=ids[:READ])  # warm up
            self._show(f"{name} started in {told['start_s']:.1f} s")

    def _note(self, name: str, **found) -> None:
        self._results[name] = replace(self._results[name], **found)

    @contextmanager
    def _going_on(self, name: str) -> Iterator[None]:
        """Inside, a runtime that ends is taken off the field, and the others go on without it."""
        try:
            yield
        except Ended as fault:
            del self._workers[name]
            self._note(name, fault=str(fault))
            self._show(str(fault))

    def run(self, ids: list[int], rounds: int, written: int) -> None:
        for number in range(rounds if self._workers else 0):
            self.used.append(_used_by_others())
            order = list(self._workers)
            for name in order if number % 2 else order[::-1]:
                if number and name in self._slow:
                    continue
                sleep(0.05)  # threads of the one before stop waiting actively
                with self._going_on(name):
                    self._lap(name, ids, written)
            self._show(f"round {number + 1} of {rounds}")

    def _lap(self, name: str, ids: list[int], written: int) -> None:
        worker, so_far = self._workers[name], self._results[name]
        long, written = (SHORT_READ, SHORT_WRITTEN) if name in self._slow else (READ, written)
        read = worker.ask(read=ids[:long])
        wrote = worker.ask(read=ids[:ASKED], write=written)
        self._note(
            name,
            reads=(*so_far.reads, long / read["read_s"]),
            writes=(*so_far.writes, len(wrote["ids"]) / wrote["write_s"]),
            resident_bytes=max(so_far.resident_bytes or 0, read["resident_bytes"], wrote["resident_bytes"]),
        )

    def score(self, ids: list[int]) -> None:
        for name, worker in list(self._workers.items()):
            with self._going_on(name):
                told = worker.ask(score=ids)
                if told["logprobs"] is not None:
                    self._note(name, perplexity=perplexity(told["logprobs"]))
                    self._likeliest[name] = told["likeliest"]
        full = next((self._likeliest[name] for name in FULL if name in self._likeliest), None)
        for name, likeliest in self._likeliest.items() if full else ():
            self._note(name, agreement=agreement(likeliest, full))

    def excused(self) -> str:
        """The slow ones, and what they were spared."""
        if not self._slow:
            return ""
        return f" {' and '.join(sorted(self._slow))}, slow here: one round, {SHORT_READ} and {SHORT_WRITTEN} ids."

    def ranked(self) -> tuple[Result, ...]:
        return tuple(sorted(self._results.values(), key=lambda one: (not one.ran, -(one.writes_tokens_per_s or 0))))


def _used_by_others() -> float:
    """Cores in use while every runtime waits."""
    import psutil

    return psutil.cpu_percent(interval=0.3) / 100 * psutil.cpu_count()

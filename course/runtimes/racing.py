"""One model on every runtime, in turn: how fast it reads and writes, what it takes, and what its quality is worth.

Each is a process of its own, on the same cores, with the same ids; beside the speed stand perplexity and agreement with
fp32, so that none wins by being wrong. A question can be put to one alone. Knows nothing about any runtime.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import median
from time import sleep

import psutil

from course.runtimes.contract import CAPACITY, chat_format
from course.runtimes.listing import RUNTIMES, made
from course.runtimes.process import Ended, Worker
from course.runtimes.results import Result, Results
from slmlab import measure
from slmlab.catalog import DATA
from slmlab.chat import as_messages
from slmlab.errors import in_range
from slmlab.machine import memory
from slmlab.show import in_bytes

READ, ASKED = 512, 32  # ids of a long prompt, and of a short one that is written on
PATIENCE_S = 25  # one that would take longer to read the long prompt is slow: it runs one round, with shorter tasks
SHORT_READ, SHORT_WRITTEN = 64, 8
ROOM_BYTES = 1_200_000_000  # free memory that one may need, the others being loaded; the widest form takes 1 GB
AT_ONCE = 8  # ids asked for at a time, until one of them ends the answer
FULL = ("transformers fp32", "onnx fp32")  # what quality is compared with: the first of these that runs


@dataclass(frozen=True)
class Answer:
    """What a runtime says: `text`, made of `ids`. Where it isn't here, the text is what it would take."""

    name: str
    text: str
    ids: tuple[int, ...] = ()

    def __repr__(self):
        return f"{self.name}: {self.text}"


def ask(name: str, question, max_tokens: int = 64) -> Answer:
    """Ask one runtime, with the prompt's ids that every other gets; the likeliest id each time, to the answer's end."""
    made(name)  # a name that nobody has is refused before anything starts
    form = chat_format()
    ids = form.ids(form.prompt(as_messages(question)))
    together = f"a question and its answer have at most {CAPACITY:,} tokens, and this question has {len(ids):,}"
    in_range("max_tokens", max_tokens, 1, CAPACITY - len(ids), together)
    with Worker(name) as worker:
        if absent := worker.answer().get("absent"):
            return Answer(name, absent)
        worker.ask(read=ids)
        written, new = [], [None]
        while new and len(written) < max_tokens and not form.end_ids & set(new):
            new = worker.ask(write=min(AT_ONCE, max_tokens - len(written)))["ids"]
            written += new
    said = tuple(takewhile(lambda id: id not in form.end_ids, written))
    return Answer(name, form.text(said), said)


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
    rounds = measure.rounds(in_range("rounds", rounds, 1, 1000, "a whole number from 1 to 1000, please"))
    names = RUNTIMES if names is None else [names] if isinstance(names, str) else names
    racers = [_Racer(name) for name in dict.fromkeys(names)]
    ids = text_ids()[: max(READ, judged)]
    used = []
    with ExitStack() as stack:
        _each(racers, show, lambda racer: racer.start(stack, ids))  # one after the other: starting is measured too
        for number in range(rounds):
            used.append(psutil.cpu_percent(interval=0.3) / 100 * psutil.cpu_count())  # cores, while every runtime waits
            round_of = [racer for racer in racers if not (number and racer.slow)]
            _each(round_of if number % 2 else round_of[::-1], show, lambda racer: racer.lap(ids, written))
            show(f"round {number + 1} of {rounds}")
        _each(racers, show, lambda racer: racer.score(ids[:judged]))
    about = (
        f"{rounds} rounds in turn, medians (smallest to largest): reading {READ} ids, writing {written} after "
        f"{ASKED}; quality on {judged} ids."
    )
    if slow := sorted(racer.result.name for racer in racers if racer.slow):
        about += f" {' and '.join(slow)}, slow here: one round, {SHORT_READ} and {SHORT_WRITTEN} ids."
    ranked = sorted(_compared(racers), key=lambda one: (not one.ran, -(one.writes_tokens_per_s or 0)))
    return Results(tuple(ranked), about, median(used))


def text_ids() -> list[int]:
    """The ids that everybody reads: a story and a program from data/texts."""
    texts = [(DATA / "texts" / f"{name}.txt").read_text(encoding="utf-8") for name in ("english", "python")]
    return chat_format().ids("\n".join(texts))


class _Racer:
    """One runtime in the race: its process, and what it has shown so far."""

    def __init__(self, name: str):
        made(name)  # a name that nobody has is refused before anything starts
        self.result, self.slow, self.likeliest = Result(name), False, None

    def note(self, **found) -> None:
        self.result = replace(self.result, **found)

    def start(self, stack: ExitStack, ids: list[int]) -> str:
        name, free = self.result.name, memory()[1]
        if free < ROOM_BYTES:  # all are loaded at once: the machine must not begin to swap
            has, may = in_bytes(free), in_bytes(ROOM_BYTES)
            raise Ended(f"{name} was left out: {has} of memory are free, and it may take {may}.")
        worker = self.worker = stack.enter_context(Worker(name))
        self.note(**worker.answer())
        if self.result.absent:
            return f"{name} isn't here"
        worker.ask(read=ids[:ASKED], write=SHORT_WRITTEN)  # the first of all is slow everywhere
        self.slow = worker.ask(read=ids[:ASKED])["read_s"] * READ / ASKED > PATIENCE_S
        if not self.slow:
            worker.ask(read=ids[:READ])  # warm up
        return f"{name} started in {self.result.start_s:.1f} s"

    def lap(self, ids: list[int], written: int) -> None:
        sleep(0.05)  # threads of the one before stop waiting actively
        long, written = (SHORT_READ, SHORT_WRITTEN) if self.slow else (READ, written)
        read = self.worker.ask(read=ids[:long])
        wrote = self.worker.ask(read=ids[:ASKED], write=written)
        self.note(
            reads=(*self.result.reads, long / read["read_s"]),
            writes=(*self.result.writes, len(wrote["ids"]) / wrote["write_s"]),
            resident_bytes=max(self.result.resident_bytes or 0, read["resident_bytes"], wrote["resident_bytes"]),
        )

    def score(self, ids: list[int]) -> None:
        judged = self.worker.ask(score=ids)
        self.likeliest = judged["likeliest"]
        if judged["logprobs"]:
            self.note(perplexity=measure.perplexity(judged["logprobs"]))


def _each(racers: list[_Racer], show: Callable[[str], None], task: Callable[[_Racer], str | None]) -> None:
    """Do a task with each that runs: one whose process ends leaves the race with a line, and the others go on."""
    for racer in filter(lambda racer: racer.result.ran, racers):
        try:
            line = task(racer)
        except Ended as fault:
            line = str(fault)
            racer.note(fault=line)
        if line:
            show(line)


def _compared(racers: list[_Racer]) -> list[Result]:
    """The results, with each one's agreement with fp32 where both have scored."""
    by_name = {racer.result.name: racer.likeliest for racer in racers}
    full = next((by_name[name] for name in FULL if by_name.get(name)), None)
    for racer in racers:
        if full and racer.likeliest:
            racer.note(agreement=measure.agreement(racer.likeliest, full))
    return [racer.result for racer in racers]

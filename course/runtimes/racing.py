"""One model on every runtime, in turn: how fast it reads and writes, what it takes, and what its quality is worth.

Each is a process of its own, on the same cores, with the same ids; beside the speed stand perplexity and agreement with
fp32, so that none wins by being wrong. A question can be put to one alone. Knows nothing about any runtime.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from html import escape
from itertools import takewhile
from statistics import median
from time import perf_counter, sleep

import psutil

from course.live import in_place
from course.runtimes.contract import CAPACITY, chat_format
from course.runtimes.listing import RUNTIMES, made
from course.runtimes.process import Ended, Worker
from course.runtimes.results import Result, Results, with_recorded
from slmlab import measure
from slmlab.catalog import DATA
from slmlab.chat import as_messages
from slmlab.errors import in_range
from slmlab.machine import memory
from slmlab.show import in_bytes

READ, ASKED = 512, 32  # ids of a long prompt, and of a short one that is written on
PATIENCE_S = 25  # one that would take longer to read the long prompt would keep everybody waiting
ROOM_BYTES = 1_200_000_000  # free memory that one may need, the others being loaded; the widest form takes 1 GB
FULL = ("transformers fp32", "onnx fp32")  # what quality is compared with: the first of these that runs


@dataclass(frozen=True)
class Answer:
    """What a runtime says: `text`, made of `ids`. Where it isn't here, there are none, and the text says so."""

    name: str
    text: str
    ids: tuple[int, ...] = ()

    def __repr__(self):
        return f"{self.name}: {self.text}" if self.ids else self.text


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
        written = worker.ask(read=ids, write=max_tokens)["ids"]
    said = tuple(takewhile(lambda id: id not in form.end_ids, written))
    return Answer(name, form.text(said), said)


def race(
    names: Iterable[str] | None = None,
    rounds: int = 3,
    written: int = 32,
    judged: int = 200,
    most_s: float = 120,
) -> Results:
    """Race runtimes of the bundled model: all of them, or those named.

    Each judges `judged` ids of a text; then, in each of the `rounds`, each reads 512 ids and writes `written` after 32.
    One that isn't here, is far too slow or ends before its time is in the results with the reason, and the others go
    on. After `most_s` seconds nothing new is begun: the results hold what was measured until then.
    """
    rounds = measure.rounds(in_range("rounds", rounds, 1, 1000, "a whole number from 1 to 1000, please"))
    names = RUNTIMES if names is None else [names] if isinstance(names, str) else names
    racers = [_Racer(name) for name in dict.fromkeys(names)]
    ids, used = text_ids()[: max(READ, judged)], []
    bar = _Bar(len(racers) * (2 + rounds), most_s)
    with ExitStack() as stack:
        _each(racers, bar, "starts", lambda racer: racer.start(stack, ids))  # in turn: starting is measured too
        _each(racers, bar, "judges a text", lambda racer: racer.score(ids[:judged]))
        for number in range(rounds):
            used.append(psutil.cpu_percent(interval=0.3) / 100 * psutil.cpu_count())  # cores, while every runtime waits
            in_turn, does = racers[::-1] if number % 2 else racers, f"runs, round {number + 1} of {rounds}"
            _each(in_turn, bar, does, lambda racer: racer.lap(ids, written))
    bar.end()
    for racer in racers:
        if racer.result.ran and not racer.result.reads:
            racer.note(fault=f"{racer.result.name} was left out: {bar.used_up}.")
    about = (
        f"{rounds} rounds in turn, medians (smallest to largest): reading {READ} ids, writing {written} after "
        f"{ASKED}; quality on {judged} ids."
    ) + f" Not all rounds were run: {bar.used_up}." * bar.late
    ranked = sorted(_compared(racers), key=lambda one: (not one.ran, -(one.writes_tokens_per_s or 0)))
    return Results(tuple(map(with_recorded, ranked)), about, median(used))


class _Bar:
    """How far a race is, in the place of what it was before, and when its time is up."""

    def __init__(self, steps: int, most_s: float):
        self.place, self.done, self.steps, self.most_s = None, 0, steps, most_s
        self.began, self.late = perf_counter(), False
        self.used_up = f"the time of {most_s:.0f} s was used up"

    def step(self, words: str) -> bool:
        """Say what is done next. False: it is too late to begin it."""
        self.late = perf_counter() - self.began > self.most_s
        self.done += 1
        self._show(words)
        return not self.late

    def end(self) -> None:
        self.done = self.steps
        self._show("done")

    def _show(self, words: str) -> None:
        passed_s = perf_counter() - self.began
        text = f"{self.used_up if self.late else words} · {passed_s:.0f} s of at most {self.most_s:.0f} s"
        html = f'<progress value="{self.done}" max="{self.steps}" style="width: 320px"></progress> {escape(text)}'
        self.place = in_place(self.place, html, text)


def text_ids() -> list[int]:
    """The ids that everybody reads: a story and a program from data/texts."""
    texts = [(DATA / "texts" / f"{name}.txt").read_text(encoding="utf-8") for name in ("english", "python")]
    return chat_format().ids("\n".join(texts))


class _Racer:
    """One runtime in the race: its process, and what it has shown so far."""

    def __init__(self, name: str):
        made(name)  # a name that nobody has is refused before anything starts
        self.result, self.likeliest = Result(name), None

    def note(self, **found) -> None:
        self.result = replace(self.result, **found)

    def start(self, stack: ExitStack, ids: list[int]) -> None:
        name, free = self.result.name, memory()[1]
        if free < ROOM_BYTES:  # all are loaded at once: the machine must not begin to swap
            has, may = in_bytes(free), in_bytes(ROOM_BYTES)
            raise Ended(f"{name} was left out: {has} of memory are free, and it may take {may}.")
        worker = self.worker = stack.enter_context(Worker(name))
        self.note(**worker.answer())
        if self.result.absent:
            return
        worker.ask(read=ids[:ASKED], write=1)  # the first of all is slow everywhere
        rate = ASKED / worker.ask(read=ids[:ASKED])["read_s"]
        if READ / rate > PATIENCE_S:
            raise Ended(f"{name} was left out: it reads {rate:.0f} tokens/s here, too slow for this race.")
        worker.ask(read=ids[:READ])  # warm up

    def lap(self, ids: list[int], written: int) -> None:
        sleep(0.05)  # threads of the one before stop waiting actively
        read = self.worker.ask(read=ids[:READ])
        wrote = self.worker.ask(read=ids[:ASKED], write=written)
        self.note(
            reads=(*self.result.reads, READ / read["read_s"]),
            writes=(*self.result.writes, len(wrote["ids"]) / wrote["write_s"]),
            resident_bytes=max(self.result.resident_bytes or 0, read["resident_bytes"], wrote["resident_bytes"]),
        )

    def score(self, ids: list[int]) -> None:
        judged = self.worker.ask(score=ids)
        self.likeliest = judged["likeliest"]
        if judged["logprobs"]:
            self.note(perplexity=measure.perplexity(judged["logprobs"]))


def _each(racers: list[_Racer], bar: _Bar, does: str, task: Callable[[_Racer], None]) -> None:
    """Do a task with each that runs: one whose process ends leaves the race, and the others go on."""
    for racer in filter(lambda racer: racer.result.ran, racers):
        if not bar.step(f"{racer.result.name} {does}"):
            return
        try:
            task(racer)
        except Ended as fault:
            racer.note(fault=str(fault))


def _compared(racers: list[_Racer]) -> list[Result]:
    """The results, each one's quality held against that of fp32 where both have scored."""
    scored = {racer.result.name: racer for racer in racers if racer.likeliest}
    full = next((scored[name] for name in FULL if name in scored), None)
    for racer in scored.values() if full else ():
        racer.note(agreement=measure.agreement(racer.likeliest, full.likeliest))
        if racer.result.perplexity:
            racer.note(loss=racer.result.perplexity / full.result.perplexity - 1)
    return [racer.result for racer in racers]

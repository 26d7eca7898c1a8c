"""Many learners at one endpoint: a crowd that really asks, the same crowd as a simulation, and what a class needs.

Both give a Crowd, so that one can be held against the other. Knows nothing about how an endpoint writes.
"""

import json
import random
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from time import perf_counter, sleep

import numpy as np

from slmlab.catalog import DATA
from slmlab.connecting import connect
from slmlab.errors import ProviderError
from slmlab.show import Shown, Table, in_bytes

RETRY_S = 2  # the endpoint asks whom it refuses to wait so long
QUESTIONS = [f"Write a long story about {one}." for one in ("a lighthouse", "two foxes", "a lost map", "an old clock")]


@dataclass(frozen=True)
class Asked:
    """One request. Times are seconds since the beginning; None is what never came, as where it was refused."""

    learner: int
    asked_s: float
    first_s: float | None = None
    ended_s: float | None = None
    tokens: float = 0

    @property
    def latency_s(self) -> float | None:
        return None if self.ended_s is None else self.ended_s - self.asked_s


class Crowd(Shown):
    """What a crowd asked, and its figures between `since_s` and `seconds`: of the answers that ended there."""

    def __init__(self, asked: Sequence[Asked], learners: int, seconds: float, since_s: float = 0.0):
        self.asked, self.learners, self.seconds, self.since_s = tuple(asked), learners, seconds, since_s
        whole = [one for one in asked if one.ended_s is not None]
        self.requests = [one for one in whole if since_s <= one.ended_s <= seconds]
        self.refused = sum(one.ended_s is None and one.asked_s >= since_s for one in asked)
        self.throughput = len(self.requests) / (seconds - since_s)  # X, answers per second
        self.tokens_per_s = sum(one.tokens for one in self.requests) / (seconds - since_s)  # of all together
        self.latency_s = float(np.mean([one.latency_s for one in self.requests] or np.nan))  # R
        # L: how many have asked and have no whole answer yet, looked at again and again: not from X and R
        moments = np.linspace(since_s, seconds, 20_000)
        come, gone = np.sort([one.asked_s for one in whole]), np.sort([one.ended_s for one in whole])
        self.in_system = float(np.mean(np.searchsorted(come, moments) - np.searchsorted(gone, moments)))
        # the median, and what 95 % stayed below
        firsts = [one.first_s - one.asked_s for one in self.requests if one.first_s is not None]
        self.to_first_s = np.quantile(firsts or [np.nan], (0.5, 0.95)).tolist()
        self.to_end_s = np.quantile([one.latency_s for one in self.requests] or [np.nan], (0.5, 0.95)).tolist()

    def settled(self, since_s: float) -> "Crowd":
        """The same without its first seconds, while a queue only fills."""
        return Crowd(self.asked, self.learners, self.seconds, since_s)

    def _table(self) -> Table:
        law = f"{self.throughput:.2f} · {self.latency_s:.3f} = {self.throughput * self.latency_s:.2f}"
        rows = [("learners", self.learners), ("answers", len(self.requests)), ("refused", self.refused),
                ("X, answers per second · R, mean seconds for one", law),
                ("L, questions in the system, counted", f"{self.in_system:.2f}"),
                ("seconds to the first token: median, 95 % below", "{:.2f}, {:.2f}".format(*self.to_first_s)),
                ("seconds to the whole answer: median, 95 % below", "{:.2f}, {:.2f}".format(*self.to_end_s)),
                ("tokens per second, all together", f"{self.tokens_per_s:.0f}")]  # fmt: skip
        return Table(("", ""), rows)


def crowd(url, learners: int, seconds: float, think_s: float, max_tokens: int = 40,
          questions: Sequence[str] | None = None, seed: int = 0) -> Crowd:  # fmt: skip
    """Learners who think, ask an endpoint and read the answer, again and again; each is a thread with a client."""
    models = [connect(url) for _ in range(learners)]
    began = perf_counter()

    def learner(who: int) -> list[Asked]:
        chance, asked = random.Random(f"{seed} {who}"), []
        while True:
            # 1) think: often shortly, now and then for long
            sleep(chance.expovariate(1) * think_s)
            if (at_s := perf_counter() - began) >= seconds:
                return asked
            # 2) ask, and read the answer as it grows
            try:
                reply = models[who].ask(chance.choice(questions or QUESTIONS), max_tokens=max_tokens)
                first_s = reply.tokens[0].time_s - began if reply.tokens else None
                asked.append(Asked(who, at_s, first_s, reply.end.time_s - began, reply.metrics.new_tokens or 0))
            except ProviderError as fault:
                if fault.status != 429:
                    raise
                asked.append(Asked(who, at_s))  # refused, three times: the SDK tries again by itself

    with ThreadPoolExecutor(learners) as pool:
        return Crowd([one for asked in pool.map(learner, range(learners)) for one in asked], learners, seconds)


def simulate(learners: int, seconds: float, think_s: float, tokens: float, speed: Mapping[int, float],
             first_s: float = 0.1, slots: int = 16, waiting: int = 32, seed: int = 0) -> Crowd:  # fmt: skip
    """The same without a model. `speed` tells how many tokens per second all get together when so many ask at once, as
    crowd(..., think_s=0) measures it; `first_s` is the wait of one alone for a first token."""
    chance, reading = random.Random(seed), first_s * speed[1]  # a prompt costs as much as so many tokens
    rates = np.interp(range(slots + 1), sorted(speed), [speed[count] for count in sorted(speed)]).tolist()
    # 1) everybody thinks first: on top of the heap is who asks next
    asks = [(chance.expovariate(1) * think_s, who) for who in range(learners)]
    heapify(asks)
    queue, marks, firsts, asked, busy, now = deque(), [], {}, [], 0, 0.0
    given = 0.0  # tokens that each busy slot has got since the beginning: all get the same
    while asks or marks:
        # 2) what comes next: a question, or the token at which an answer begins or ends
        share = rates[busy] / max(busy, 1)
        reached = now + (marks[0][0] - given) / share if marks else float("inf")
        before, now = now, min(asks[0][0] if asks else reached, reached)
        given += (now - before) * share
        if now < reached:
            _, who = heappop(asks)
            if now < seconds and busy + len(queue) < slots + waiting:
                queue.append((now, who))
            elif now < seconds:  # 3) the queue is full: status 429, and another try later
                asked.append(Asked(who, now))
                heappush(asks, (now + RETRY_S + chance.expovariate(1) * think_s, who))
        else:
            _, is_whole, came, who = heappop(marks)
            firsts.setdefault(who, now)
            if is_whole:  # 4) a slot is free, and this learner thinks again
                busy -= 1
                asked.append(Asked(who, came, firsts.pop(who), now, tokens))
                heappush(asks, (now + chance.expovariate(1) * think_s, who))
        # 5) whoever has waited longest takes a free slot
        while queue and busy < slots:
            busy, (came, who) = busy + 1, queue.popleft()
            for after, is_whole in ((reading, False), (max(tokens, reading), True)):
                heappush(marks, (given + after, is_whole, came, who))
    return Crowd(asked, learners, seconds)


def class_of(n: int, given: Mapping | None = None) -> Table:
    """What a class of n needs where each learner asks once a minute; from data/class.json, if nothing else is given."""
    given = given or json.loads((DATA / "class.json").read_text(encoding="utf-8"))
    shared, own = ([row for row in given["rows"] if row["shared"] is kind][-1] for kind in (True, False))
    end, ratios = given["endpoint"], [one["ratio"]["to_first_s"] for one in given["points"]]
    speed, server = {int(count): rate for count, rate in given["speed"].items()}, given["jupyter_bytes"]
    hour = simulate(n, 3600, 60, given["tokens"], speed, given["first_s"], end["slots"], end["waiting"]).settled(60)
    rows = [
        ("a learner's Jupyter server", in_bytes(server), "measured"),
        ("a kernel that only asks, the endpoint shared", in_bytes(shared["kernel_bytes"]), _source(shared, n)),
        ("the endpoint, on 2 cores", in_bytes(end["bytes"]), f"measured after {shared['learners']} learners"),
        (f"{n} of both, and the endpoint", in_bytes(n * (server + shared["kernel_bytes"]) + end["bytes"]), "added up"),
        (f"{n} with a model in each kernel", in_bytes(n * (server + own["kernel_bytes"])),
         f"added up; a kernel {_source(own, n)}"),
        (f"{n} that run all of lesson 02", in_bytes(n * (server + given["lesson_bytes"]) + end["bytes"]),
         "added up; a kernel measured with 1: some cells load PyTorch"),
        ("answers per second, of those wanted", f"{hour.throughput:.2f} of {n / 60:.2f}",
         f"simulated, answers of {given['tokens']:.0f} tokens"),
        ("seconds to the first token: median, 95 % below", "{:.2f}, {:.2f}".format(*hour.to_first_s),
         f"simulated; where measured, it said {min(ratios):.2f} to {max(ratios):.2f} of that"),
        ("written at once, and waiting, before one is refused", f"{end['slots']}, {end['waiting']}", "a setting"),
        ("refused in an hour", hour.refused, "simulated"),
        ("the same on a GPU", "", "not measured: deploy/engines"),
        ("what it costs", "", "open: the price of your machine, times the hours"),
    ]  # fmt: skip
    return Table(("", f"class of {n}", "how it is known"), rows, note=f"{given['machine']}, {given['date']}")


def _source(row: Mapping, n: int) -> str:
    return f"measured with {row['learners']}" + f", extrapolated to {n}" * (n > row["learners"])

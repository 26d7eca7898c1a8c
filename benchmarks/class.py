"""A class on one machine: learners who run cells of lesson 02, each in a kernel of their own, and who answers them.

With one endpoint that all share (SLMLAB_ENDPOINT): 1, 8 and 32 learners; with a model in each kernel: 1 and 8. Beside
it, crowds of clients at the same endpoint, and the simulation of `course/at_scale.py` held against all of them. Memory
is PSS: what several processes share counts once. Writes data/class.json and the table in benchmarks/README.md; about
ten minutes. --quick runs 1 and 2 learners and writes nothing.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

import nbformat
import psutil
from jupyter_client import KernelManager
from measure import finish, machine_in_words, options, put_between, used_by_others

from course.at_scale import Asked, Crowd, crowd, simulate
from endpoint import serve
from slmlab.records import Message
from slmlab.show import in_bytes, table

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "data" / "class.json"
PAGE = Path(__file__).with_name("README.md")
MARKS = ("<!-- class: written by python benchmarks/class.py -->", "<!-- end of class -->")
FIRST, *ASKING = ("setup", "well", "prompt-text", "system-answers", "seeds", "json-asked", "few-shot")  # cells' ids
WATCH = """
from time import perf_counter as _now
from slmlab.chat import as_messages as _messages
_kept, _ask = [], model.ask
def _watched(question, system=None, **settings):
    at, reply = _now(), _ask(question, system, **settings)
    _kept.append((at, reply, [vars(one) for one in _messages(question, system)]))
    return reply
model.ask = _watched
"""
TELL = """
print(json.dumps([(at, reply.tokens[0].time_s, reply.end.time_s, reply.metrics.new_tokens, messages)
                  for at, reply, messages in _kept]))
"""
SLOTS, WAITING = 16, 32  # of the endpoint, as it starts
WATCHED_S = 20  # how long a crowd asks


@dataclass
class Learner:
    """A kernel, and what happened in it."""

    number: int
    environment: dict
    start_s: float = 0.0
    setup_s: float = 0.0
    failed: dict = field(default_factory=dict)  # cell to what it said
    questions: list = field(default_factory=list)  # conversations that its cells asked
    said: str = ""

    def start(self) -> None:
        began = perf_counter()
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=self.environment, cwd=str(ROOT / "notebooks"), stderr=subprocess.DEVNULL)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=300)
        self.start_s = perf_counter() - began

    def run(self, source: str, cell: str) -> None:
        self.said, began = "", perf_counter()
        told = self.client.execute_interactive(source, timeout=900, output_hook=self._hear)["content"]
        if told["status"] != "ok":
            self.failed[cell] = f"{told['ename']}: {told['evalue']}"[:300]
        if cell == FIRST:
            self.setup_s = perf_counter() - began

    def _hear(self, message: dict) -> None:
        self.said += message["content"].get("text", "")

    def asked(self, began: float) -> list[Asked]:
        self.run(TELL, "what was asked")
        rows = json.loads(self.said.splitlines()[-1])
        self.questions = [[Message(**one) for one in messages] for *_, messages in rows]
        times = [(*(moment - began for moment in row[:3]), row[3]) for row in rows]
        return [Asked(self.number, *row) for row in times]

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def held(pid: int) -> int:
    """The memory of a process and of those that it started."""
    whole = psutil.Process(pid)
    return sum(one.memory_full_info().pss for one in (whole, *whole.children(recursive=True)))


def code() -> dict[str, str]:
    """The lesson's cells of code, by their ids."""
    cells = nbformat.read(ROOT / "notebooks" / "02_instruct.ipynb", 4).cells
    return {cell.id: cell.source for cell in cells if cell.cell_type == "code"}


def learner(number: int, url: str | None, scratch: str) -> Learner:
    plain = {name: value for name, value in os.environ.items() if name != "SLMLAB_ENDPOINT"}
    plain |= {"SLMLAB_PROGRESS": f"{scratch}/{number}.json"} | ({"SLMLAB_ENDPOINT": url} if url else {})
    return Learner(number, plain)


def whole_lesson(url: str, scratch: str) -> int:
    """The memory of a kernel that has run every cell: some load PyTorch, some look inside and open the weights."""
    one = learner(0, url, scratch)
    one.start()
    try:
        for cell, source in code().items():
            one.run(source, cell)
        print(f"The whole lesson: {one.failed or 'no cell failed'}.")
        return held(one.manager.provisioner.pid)
    finally:
        one.stop()


def lesson(count: int, url: str | None, scratch: str) -> tuple[dict, Crowd, list]:
    """So many learners run the lesson's cells, all at the same time: the row of the table, who asked when, and what."""
    cells, learners = code(), [learner(who, url, scratch) for who in range(count)]

    def begin(one: Learner) -> None:
        one.start()
        one.run(cells[FIRST], FIRST)
        one.run(WATCH, "watch")

    def go_on(one: Learner) -> None:
        for cell in ASKING:
            one.run(cells[cell], cell)

    with ThreadPoolExecutor(count) as pool:
        try:
            list(pool.map(begin, learners))
            began = perf_counter()
            list(pool.map(go_on, learners))
            took_s = perf_counter() - began
            asked = [one for learner in learners for one in learner.asked(began)]
            memory = [held(one.manager.provisioner.pid) for one in learners]
        finally:
            list(pool.map(Learner.stop, learners))
    last = [max(one.ended_s for one in asked if one.learner == who) for who in range(count)]
    seen = Crowd(asked, count, min(last))  # until the first has run all: so long all of them ask
    failed = [
        {"learner": one.number, "cell": cell, "said": said} for one in learners for cell, said in one.failed.items()
    ]
    return {
        "learners": count, "shared": url is not None, "kernel_bytes": int(statistics.median(memory)),
        "start_s": statistics.median(one.start_s for one in learners),
        "setup_s": statistics.median(one.setup_s for one in learners),
        "first_s": seen.to_first_s[0], "tokens_per_s": seen.tokens_per_s, "cells_s": took_s, "failed": failed,
    }, seen, learners[0].questions  # fmt: skip


def think_s(seen: Crowd) -> float:
    """The mean time between an answer's end and the same learner's next question."""
    turns = sorted(seen.asked, key=lambda one: (one.learner, one.asked_s))
    pairs = [(a, b) for a, b in zip(turns, turns[1:], strict=False) if a.learner == b.learner]
    return statistics.fmean(b.asked_s - a.ended_s for a, b in pairs) if pairs else 0.0


def figures(seen: Crowd) -> dict[str, float]:
    names = ("throughput", "tokens_per_s", "latency_s", "in_system")
    return {name: getattr(seen, name) for name in names} | {"to_first_s": seen.to_first_s[0]}


def point(what: str, seen: Crowd, think: float, speed: dict, first_s: float) -> dict:
    """A measured crowd, the simulation of the same, and how many times the measured figure the simulated one is."""
    tokens = statistics.fmean(one.tokens for one in seen.requests)
    asked = {"learners": seen.learners, "seconds": 1000, "think_s": think, "tokens": tokens, "first_s": first_s}
    measured, found = figures(seen), figures(simulate(speed=speed, slots=SLOTS, waiting=WAITING, **asked))
    ratio = {name: found[name] / measured[name] for name in measured}
    return {"what": what, "asked": asked, "measured": measured, "simulated": found, "ratio": ratio}


def jupyter_bytes(scratch: str, count: int = 3) -> int:
    """The memory of a learner's own Jupyter server, before any kernel."""
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", f"--ServerApp.root_dir={scratch}"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    pipes["env"] = os.environ | {"JUPYTER_RUNTIME_DIR": scratch}
    started = [subprocess.Popen([*command, "--ServerApp.port=0"], **pipes) for _ in range(count)]
    try:
        for one in started:
            next(line for line in one.stderr if re.search(r"http://.*/lab", line))
        return int(statistics.median(held(one.pid) for one in started))
    finally:
        for one in started:
            one.terminate()
            one.communicate()


def measured(quick: bool, scratch: str) -> dict:
    given = {"date": date.today().isoformat(), "machine": machine_in_words(), "others_cores": used_by_others()}
    given["jupyter_bytes"] = jupyter_bytes(scratch)
    began = perf_counter()
    with serve() as server:
        given["endpoint"] = {"start_s": perf_counter() - began, "slots": SLOTS, "waiting": WAITING}
        pid = next(one.pid for one in psutil.Process().children() if "serve" in one.cmdline())
        given["endpoint"]["idle_bytes"] = held(pid)
        # what the lesson asks is asked by the clients too: their answers take as long, and their prompts to read
        *_, questions = lesson(1, server.url, scratch)
        asking = partial(crowd, server.url, max_tokens=40, questions=questions)
        alone, *more = (asking(count, WATCHED_S, 0) for count in ((1, 2) if quick else (1, 2, 4, 8, 16)))
        speed = {one.learners: one.tokens_per_s for one in (alone, *more)}
        tokens = statistics.fmean(one.tokens for one in alone.requests)
        given |= {"speed": speed, "first_s": alone.to_first_s[0], "tokens": tokens, "rows": [], "points": []}
        for learners, think in ((2, 2),) if quick else ((8, 5), (32, 20), (32, 5)):
            seen = asking(learners, 2 * WATCHED_S, think).settled(WATCHED_S / 2)
            given["points"].append(point("clients", seen, think, speed, given["first_s"]))
        for count in (1, 2) if quick else (1, 8, 32):
            row, seen, _ = lesson(count, server.url, scratch)
            given["rows"].append(row)
            given["points"].append(point("kernels", seen, think_s(seen), speed, given["first_s"]))
            print(row, flush=True)
        given["endpoint"]["bytes"] = held(pid)
        given["lesson_bytes"] = whole_lesson(server.url, scratch)
    for count in (1, 2) if quick else (1, 8):
        room = psutil.virtual_memory().available
        if count > 1 and count * given["rows"][-1]["kernel_bytes"] > 0.8 * room:
            print(f"{count} models of their own don't fit into {in_bytes(room)}: left out.")
            continue
        row, *_ = lesson(count, None, scratch)
        given["rows"].append(row)
        print(row, flush=True)
    given["others_cores"] = max(given["others_cores"], used_by_others())
    return given


def page(given: dict) -> str:
    rows = [
        f"| {one['learners']} | {'the endpoint' if one['shared'] else 'a model in each kernel'} "
        f"| {in_bytes(one['kernel_bytes'])} | {one['start_s']:.1f} + {one['setup_s']:.1f} s | {one['first_s']:.2f} s "
        f"| {one['tokens_per_s']:.0f} | {one['cells_s']:.0f} s | {len(one['failed'])} |"
        for one in given["rows"]
    ]
    heads = ("simulated / measured", "answers a second", "tokens/s", "whole answer", "first token")
    held_against = [
        f"| {one['what']}, {one['asked']['learners']}, {one['asked']['think_s']:.1f} s between two questions | "
        + " | ".join(f"{one['simulated'][name]:.2f} / {one['measured'][name]:.2f} = {one['ratio'][name]:.2f}"
                     for name in ("throughput", "tokens_per_s", "latency_s", "to_first_s")) + " |"
        for one in given["points"]
    ]  # fmt: skip
    end, others = given["endpoint"], f"{given['others_cores']:.0%} of a core"
    server, whole = in_bytes(given["jupyter_bytes"]), in_bytes(given["lesson_bytes"])
    return "\n".join([
        f"{given['date']}; {given['machine']}; before and after, other programs used at most {others}. The endpoint",
        f"starts in {end['start_s']:.1f} s and holds {in_bytes(end['idle_bytes'])}, after all these runs "
        f"{in_bytes(end['bytes'])}. A learner's Jupyter server holds {server}, and",
        f"a kernel that has run all of the lesson {whole}: some cells load PyTorch, some open the weights.", "",
        "| learners | who answers | a kernel (PSS) | starts + first cell | first token | tokens/s | cells | failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |", *rows, "",
        f"| {' | '.join(heads)} |", "| --- | --- | --- | --- | --- |", *held_against,
    ])  # fmt: skip


def main() -> None:
    quick = options(__doc__).quick
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel before any other of that name
    with tempfile.TemporaryDirectory() as scratch:
        given = measured(quick, scratch)
    if not quick:
        TARGET.write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")
    print(page(given))
    print(table({"cell": one["cell"], "said": one["said"]} for row in given["rows"] for one in row["failed"]))
    if not quick:
        put_between(MARKS, page(given), PAGE)
    finish(**{f"ratio_{one['what']}_{at}": one["ratio"]["tokens_per_s"] for at, one in enumerate(given["points"])})


if __name__ == "__main__":
    main()

"""One model on every runtime: how fast it reads and writes, what it takes, and what its quality is worth.

Each contestant (benchmarks/contestants/) is a process of its own, on the same cores, with the same ids, and they run in
turn; beside the speed stand perplexity and agreement with fp32, so that none wins by being wrong. With --publish the
table goes into benchmarks/README.md, unless the machine was busy with something else meanwhile.

Goals for the default, against llama.cpp on the original file: writing 1.5 times as fast, reading 2.5 times; perplexity
within 1 % of fp32's, and the same favourite for 95 of 100 ids.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

import contestants
from measure import finish, machine_in_words, parser, spread

import slmlab
from slmlab.catalog import data_folder
from slmlab.loading import ENGINES
from slmlab.metrics import agreement, perplexity

DEFAULT, FULL, PEER = f"onnx {ENGINES['onnx'][0]}", "transformers fp32", "llama.cpp"
READ, ASKED = 512, 32  # ids of a long prompt, and of a short one that is written on
BUSY = 0.15  # of a core, used by others: more makes the figures worthless
TABLE = Path(__file__).with_name("README.md")
MARKS = ("<!-- runtimes: written by python benchmarks/runtimes.py --publish -->", "<!-- end of runtimes -->")


@dataclass
class Racer:
    """A contestant's process, and what it has shown so far."""

    name: str
    process: subprocess.Popen
    start_s: float = 0.0
    size_bytes: int = 0
    absent: str | None = None
    resident_bytes: int = 0
    reads: list[float] = field(default_factory=list)  # ids per second
    writes: list[float] = field(default_factory=list)
    perplexity: float | None = None
    favourites: list[int] | None = None

    def ask(self, **what) -> dict:
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended: run python benchmarks/contestants/child.py {self.name!r} to see why.")
        return json.loads(line)

    def warm_up(self, ids: list[int]) -> None:
        for name, value in self._answer().items():
            setattr(self, name, value)
        if not self.absent:
            self.ask(begin=ids, go_on=8)

    def run(self, ids: list[int], written: int) -> None:
        self.reads.append(len(ids) / self.ask(begin=ids, go_on=0)["begin_s"])
        told = self.ask(begin=ids[:ASKED], go_on=written)
        self.writes.append(written / told["go_on_s"])
        self.resident_bytes = max(self.resident_bytes, told["resident_bytes"])

    def judge(self, ids: list[int]) -> None:
        told = self.ask(judge=ids)
        self.perplexity, self.favourites = perplexity(told["logprobs"]), told["favourites"]


def started(name: str) -> Racer:
    command = [sys.executable, str(Path(__file__).parent / "contestants" / "child.py"), name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return Racer(name, subprocess.Popen(command, text=True, **pipes))


def raced(names: list[str], rounds: int, written: int, judged: int) -> tuple[list[Racer], float]:
    """Every contestant that this machine has, after its rounds; and the part of a core that others used meanwhile."""
    ids = slmlab.load().format.ids("\n".join(_texts()))
    racers = []
    for name in names:  # one after the other: starting is measured too
        racers.append(started(name))
        racers[-1].warm_up(ids[:READ])
        if racers[-1].absent:
            print(f"{name} isn't here: python -m pip install {racers[-1].absent}")
    racers = [racer for racer in racers if not racer.absent]
    used = []
    for number in range(rounds):
        used.append(_used_by_others())
        for racer in racers if number % 2 else racers[::-1]:
            sleep(0.05)  # threads of the one before stop waiting actively
            racer.run(ids[:READ], written)
    for racer in racers:
        racer.judge(ids[:judged])
        racer.process.stdin.close()
        racer.process.wait()
    return racers, statistics.median(used)


def _texts() -> list[str]:
    return [(data_folder() / "texts" / f"{name}.txt").read_text(encoding="utf-8") for name in ("english", "python")]


def _used_by_others() -> float:
    """Cores in use while every contestant waits."""
    import psutil

    return psutil.cpu_percent(interval=0.3) / 100 * psutil.cpu_count()


def table(racers: list[Racer]) -> str:
    full = next(racer for racer in racers if racer.name == FULL)
    rows = [
        "| runtime | writes, tokens/s | reads, tokens/s | starts in | memory | on disk | perplexity | same favourite |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for racer in sorted(racers, key=lambda one: -statistics.median(one.writes)):
        name = f"**{racer.name}** (the default)" if racer.name == DEFAULT else racer.name
        rows.append(
            f"| {name} | {spread(racer.writes, 0)} | {spread(racer.reads, 0)} | {racer.start_s:.1f} s "
            f"| {racer.resident_bytes / 1e6:,.0f} MB | {racer.size_bytes / 1e6:,.0f} MB | {racer.perplexity:.2f} "
            f"| {agreement(racer.favourites, full.favourites):.1%} |"
        )
    return "\n".join(rows)


def publish(text: str, used: float) -> None:
    """The table's place in the README; refuses figures of a busy machine."""
    if used > BUSY:
        raise SystemExit(f"Not published: other programs used {used:.0%} of a core. Close them and run again.")
    page = TABLE.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    TABLE.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--publish", action="store_true", help="write the table into benchmarks/README.md")
    options.add_argument("--only", nargs="+", metavar="NAME", help=f"of: {', '.join(contestants.names())}")
    told = options.parse_args()
    names = told.only or ([DEFAULT, FULL, PEER] if told.quick else list(contestants.names()))
    names += [] if FULL in names else [FULL]  # what quality is compared with
    rounds, written, judged = (3, 32, 200) if told.quick else (15, 64, 1000)
    racers, used = raced(names, rounds, written, judged)
    about = (
        f"{machine_in_words()}; {rounds} rounds in turn, medians (smallest to largest); reading {READ} ids, writing "
        f"{written} after {ASKED}; quality on {judged} ids; other programs used {used:.0%} of a core"
    )
    text = table(racers)
    print(f"{about}\n\n{text}")
    if told.publish:
        publish(f"{about}.\n\n{text}", used)
    by_name = {racer.name: racer for racer in racers}
    finish(default=DEFAULT, **_goals(by_name))


def _goals(racers: dict[str, Racer]) -> dict:
    own, full, peer = (racers.get(name) for name in (DEFAULT, FULL, PEER))
    if own is None:
        return {}
    figures = {
        "perplexity_vs_fp32": own.perplexity / full.perplexity,
        "top1_agreement": agreement(own.favourites, full.favourites),
    }
    if peer:
        figures |= {
            "decode_vs_llama_cpp": statistics.median(own.writes) / statistics.median(peer.writes),
            "prefill_vs_llama_cpp": statistics.median(own.reads) / statistics.median(peer.reads),
        }
    return figures


if __name__ == "__main__":
    main()

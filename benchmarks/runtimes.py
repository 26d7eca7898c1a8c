"""One model on every runtime: how fast it reads and writes, what it takes, and what its quality is worth.

The race is course.runtimes.racing's own: a process for each, on the same cores, with the same ids, in turn. With
--publish its table and its plot go into benchmarks/, unless the machine was busy with something else meanwhile. With
--record NAME ... the rows of these go into data/: lesson 09 shows them where a reader hasn't got the runtime.

Goals for the default, against llama.cpp on the original file: writing 1.5 times as fast, reading 2.5 times; perplexity
within 1 % of fp32's, and the same favourite for 95 of 100 ids.
"""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

from measure import finish, machine_in_words, parser, put_between, refuse_busy

from course.runtimes.listing import RUNTIMES
from course.runtimes.racing import FULL, race
from course.runtimes.results import RECORDED, Results
from slmlab.loading import ENGINES

DEFAULT, REFERENCE, PEER = f"onnx {ENGINES['onnx'][0]}", FULL[0], "llama.cpp"
TABLE = Path(__file__).with_name("README.md")
PLOT = Path(__file__).with_name("runtimes.png")
MARKS = ("<!-- runtimes: written by python benchmarks/runtimes.py --publish -->", "<!-- end of runtimes -->")


def table(found: Results) -> str:
    rows = ["| " + " | ".join(found.heads) + " |", "| --- " * len(found.heads) + "|"]
    for name, *figures in found.rows():
        name = f"**{name}** (the default)" if name == DEFAULT else name
        rows.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(rows)


def about(found: Results) -> str:
    missing = [one.name for one in found if not one.ran]
    left_out = f" Not raced here: {', '.join(missing)}." if missing else ""
    return f"{machine_in_words()}; {found.note()}{left_out}"


def publish(found: Results) -> None:
    """The table's place in the README, and the plot beside it; refuses figures of a busy machine."""
    refuse_busy(found.others_cores)
    picture = f"![{draw(found)}]({PLOT.name})"
    put_between(MARKS, f"{about(found)}\n\n{picture}\n\n{table(found)}", TABLE)


def record(found: Results, names: list[str]) -> None:
    """The rows of some runtimes, with versions, date and machine; refuses figures of a busy machine."""
    refuse_busy(found.others_cores)
    if missing := [found[name].fault or found[name].absent for name in names if not found[name].ran]:
        raise SystemExit(f"Not recorded: {' '.join(missing)}")
    kept = [{key: value for key, value in asdict(found[name]).items() if value is not None} for name in names]
    told = {"date": f"{date.today()}", "machine": machine_in_words(), "about": found.note(), "results": kept}
    RECORDED.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def draw(found: Results) -> str:
    """The picture beside the table; gives its sentence."""
    from course.runtimes import plots
    from slmlab.measure import memory_bandwidth

    figure = plots.race(found, memory_bandwidth())
    PLOT.write_bytes(figure.png())
    return figure.caption


def goals(found: Results) -> dict:
    ran = {one.name: one for one in found if one.ran}
    own, full, peer = (ran.get(name) for name in (DEFAULT, REFERENCE, PEER))
    if own is None or full is None:
        return {}
    figures = {"perplexity_vs_fp32": own.perplexity / full.perplexity, "top1_agreement": own.agreement}
    if peer:
        figures |= {
            "decode_vs_llama_cpp": own.writes_tokens_per_s / peer.writes_tokens_per_s,
            "prefill_vs_llama_cpp": own.reads_tokens_per_s / peer.reads_tokens_per_s,
        }
    return figures


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--publish", action="store_true", help="write table and plot into benchmarks/")
    options.add_argument("--only", nargs="+", metavar="NAME", help=f"of: {', '.join(RUNTIMES)}")
    options.add_argument("--record", nargs="+", default=[], metavar="NAME", help="write these rows into data/")
    told = options.parse_args()
    chosen = told.only or ([DEFAULT, REFERENCE, PEER] if told.quick else list(RUNTIMES))
    chosen += [] if REFERENCE in chosen else [REFERENCE]  # what quality is compared with
    rounds, written, judged = (3, 32, 600) if told.quick else (15, 64, 1000)
    found = race(chosen, rounds, written, judged, most_s=3600)
    print(f"\n{about(found)}\n\n{table(found)}")
    if told.publish:
        publish(found)
    if told.record:
        record(found, told.record)
    finish(default=DEFAULT, **goals(found))


if __name__ == "__main__":
    main()

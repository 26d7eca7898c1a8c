"""Models by questions by settings: each answer is a line of a file, so a sweep goes on where it was stopped.

The same worker runs in this process, or on a Ray cluster (the extra `scale`). Which answer is right, evaluate says.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from textwrap import shorten

from course.evaluate import Question, Share, judge
from course.live import in_place
from slmlab.errors import BadRequest, NotHere
from slmlab.loading import load
from slmlab.show import Table

SHOW_EVERY_S = 0.5
_loaded: dict = {}  # in this process: one model by its name


def sweep(
    models: Sequence[str], questions: Sequence[Question], settings: Sequence[Mapping], results: str | Path,
    on: str = "here", score: Callable = judge,
) -> Table:  # fmt: skip
    """Ask every model every question in every setting: a table of the shares of right answers, with their intervals.

    settings: what `model.ask` takes, such as [{"max_tokens": 40}, {"temperature": 0.8, "seed": 1}].
    results: a file that grows by a line for each answer. After a stop, the same call goes on: it asks what is missing
    and what failed. A model's name, a question's id and a setting's words say which answer it is.
    on: "here", one after another, with one model in memory; or a Ray cluster's address, where each core holds a model
    ("local" starts Ray on this machine). Where ray.init() was called before, it is that cluster.
    score: (model, question, **setting) gives an evaluate.Verdict.
    """
    named = {", ".join(f"{name}={one[name]}" for name in sorted(one)) or "as it is": dict(one) for one in settings}
    tasks = {(model, one.id, words): (model, one, named[words], score)
             for model in models for words in named for one in questions}  # fmt: skip
    rows = {key: row for key, row in _kept(Path(results)).items() if key in tasks}
    left = {key: task for key, task in tasks.items() if "error" in rows.get(key, {"error": ""})}
    faults: dict = {}
    found = ((key, _answer(faults, *task)) for key, task in left.items()) if on == "here" else _on_ray(left, on)
    place, shown_s = None, 0.0
    with open(results, "a", encoding="utf-8") as file:
        for done, (key, row) in enumerate(found, len(tasks) - len(left) + 1):
            rows[key] = dict(zip(("model", "question", "setting"), key, strict=True)) | row
            file.write(json.dumps(rows[key]) + "\n")
            file.flush()  # a kill loses the answer that is on its way, and no other
            if done == len(tasks) or time.monotonic() - shown_s > SHOW_EVERY_S:
                words = f"{done:,} of {len(tasks):,} answers"
                place, shown_s = in_place(place, f"<div>{words}</div>", words), time.monotonic()
    _loaded.clear()
    failed = Counter((key[0], row["error"]) for key, row in rows.items() if "error" in row).most_common(5)
    told = [f"{name}: {count:,} failed, and the same line asks again. {why}" for (name, why), count in failed]
    shares = [[model, *(_share(rows, model, words) for words in named)] for model in models]
    return Table(("model", *named), shares, note="\n".join(told))


def _share(rows: Mapping, model: str, setting: str) -> Share | str:
    right = [row["right"] for key, row in rows.items() if key[::2] == (model, setting) and "right" in row]
    return Share(sum(right), len(right)) if right else "–"


def _kept(results: Path) -> dict[tuple, dict]:
    """The answers of earlier calls. A line that a killed one left half written is cut off."""
    lines = results.read_bytes() if results.exists() else b""
    whole, half = lines[: lines.rfind(b"\n") + 1], lines[lines.rfind(b"\n") + 1 :]
    try:
        rows = {(row["model"], row["question"], row["setting"]): row for row in map(json.loads, whole.splitlines())}
    except (ValueError, TypeError, KeyError):
        half = b"?"
    if half[:9] != b'{"model":'[: len(half)]:
        raise BadRequest(f"{results} holds what no sweep wrote, and stays as it is: name another file for the results.")
    if half:
        os.truncate(results, len(whole))
    return rows


def _answer(faults: dict, name: str, question: Question, setting: Mapping, score: Callable, threads=None) -> dict:
    """One task, in whichever process it runs. `faults`: why a model can't be had; this sweep doesn't load it again."""
    try:
        if name in faults:
            raise faults[name]
        if name not in _loaded:
            _loaded.clear()  # never two in memory
            try:
                _loaded[name] = load(name, fallback=False, threads=threads)
            except Exception as fault:
                faults[name] = fault
                raise
        verdict = score(_loaded[name], question, **setting)
        return {"right": bool(verdict.right), "said": verdict.said}
    except Exception as fault:  # whatever it is, the other tasks go on
        return _failed(fault)


def _failed(fault: Exception) -> dict:
    return {"error": shorten(f"{type(fault).__name__}: {fault}", 160, placeholder=" ...")}


def _on_ray(tasks: Mapping, address: str) -> Iterator[tuple]:
    """Each core of the cluster takes one task after another. One whose node dies goes to another node, three times."""
    try:
        import ray
    except ModuleNotFoundError as fault:
        raise NotHere("Ray is not installed. Run: python -m pip install -r data/environments/scale.txt") from fault

    faults: dict = {}  # each of Ray's processes has a copy for this call

    def answer(*task) -> dict:
        return _answer(faults, *task, threads=1) | {"node": ray.get_runtime_context().get_node_id()}

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that starts here tells its makers nothing
    there = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(answer)  # else one node is filled before the next
    with nullcontext() if ray.is_initialized() else ray.init(address, log_to_driver=False, logging_level="ERROR"):
        waiting = {there.remote(*task): key for key, task in tasks.items()}
        try:
            while waiting:
                [ref], _ = ray.wait(list(waiting))
                try:
                    found = ray.get(ref)
                except ray.exceptions.RayError as fault:  # its process or node died again and again
                    found = _failed(fault)
                yield waiting.pop(ref), found
        finally:
            for ref in waiting:  # of a sweep that was stopped
                ray.cancel(ref, force=True)

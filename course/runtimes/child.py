"""One runtime in a process of its own: commands as lines of JSON come in, what they gave and took goes out.

python -m course.runtimes.child NAME [--cores 0,1] [--file GGUF]
"""

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from course.runtimes.listing import made
from slmlab.errors import SlmLabError


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--cores", help="stay on these")
    parser.add_argument("--file", type=Path, help="another GGUF file of the same model")
    told = parser.parse_args(words)
    if told.cores:
        _stay_on([int(core) for core in told.cores.split(",")])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a runtime prints by itself is no answer
    serve(told.name, told.file, answers)


def _stay_on(cores: list[int]) -> None:
    """Before any runtime is imported: some count the cores then. Where the system lets nobody choose, nothing."""
    import psutil

    with suppress(AttributeError, OSError, ValueError):  # macOS has no such thing
        psutil.Process().cpu_affinity(cores)


def serve(name: str, file: Path | None, answers) -> None:
    def answer(**what) -> None:
        print(json.dumps(what), file=answers, flush=True)

    runtime = made(name, file)
    if need := runtime.need():
        return answer(absent=need)
    try:
        runtime.prepare()
        began = perf_counter()
        runtime.open()
    except ImportError as fault:  # it is there by its name alone, or a part of it isn't
        return answer(absent=f"{runtime.facts.install_line()}   ({fault})")
    except SlmLabError as fault:
        return answer(refused=str(fault))
    answer(start_s=perf_counter() - began, size_bytes=runtime.size_bytes, token_bytes=runtime.token_bytes,
           version=runtime.version)  # fmt: skip
    try:
        for line in sys.stdin:
            answer(**_done(runtime, json.loads(line)))
    finally:
        runtime.close()


def _done(runtime, asked: dict) -> dict:
    """One command: read, write or judge."""
    if "judge" in asked:
        logprobs, favourites = runtime.judge(asked["judge"]) or (None, None)
        return {"logprobs": logprobs, "favourites": favourites}
    given = {}
    if "read" in asked:
        runtime.forget()
        began = perf_counter()
        runtime.read(asked["read"])
        given["read_s"] = perf_counter() - began
    if asked.get("write"):
        began = perf_counter()
        given["ids"] = runtime.write(asked["write"])
        given["write_s"] = perf_counter() - began
    return given | {"resident_bytes": runtime.resident_bytes()}


if __name__ == "__main__":
    main()

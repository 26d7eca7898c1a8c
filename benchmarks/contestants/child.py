"""One contestant in a process of its own: commands as lines of JSON come in, what they took goes out.

Run by benchmarks/runtimes.py: python benchmarks/contestants/child.py NAME
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints by itself is no answer

    def answer(**what) -> None:
        print(json.dumps(what), file=answers, flush=True)

    import contestants

    began = perf_counter()
    try:
        contestant = contestants.opened(name)
    except ImportError:
        return answer(absent=contestants.package_of(name))
    answer(start_s=perf_counter() - began, size_bytes=contestant.size_bytes)
    for line in sys.stdin:
        asked = json.loads(line)
        if "judge" in asked:
            logprobs, favourites = contestant.judge(asked["judge"])
            answer(logprobs=logprobs, favourites=favourites)
        else:
            began = perf_counter()
            contestant.begin(asked["begin"])
            read = perf_counter()
            contestant.go_on(asked["go_on"])
            answer(begin_s=read - began, go_on_s=perf_counter() - read, resident_bytes=_resident_bytes())
    contestant.close()


def _resident_bytes() -> int:
    import psutil

    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    main(sys.argv[1])

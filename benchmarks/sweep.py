"""One sweep on this machine, on two Ray nodes of one core each, and on two of which one is killed half way.

python benchmarks/sweep.py     three minutes on two cores, with the packages of data/environments/scale.txt
"""

import json
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the loopback alone
from ray.cluster_utils import Cluster
from tabulate import tabulate

from course.evaluate import questions
from course.sweeps import sweep

SETTINGS = [{"max_tokens": 40}, {"max_tokens": 40, "temperature": 0.8, "seed": 1}]
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}
ASKED = questions("first_steps")
TASKS = len(ASKED) * len(SETTINGS)


def measured(name: str, on: str, kill=None) -> tuple:
    """A row of the table; `kill` is called when half of the answers are there."""
    results = Path(tempfile.mkdtemp()) / "results.jsonl"

    def half_way():
        while not results.exists() or results.read_bytes().count(b"\n") < TASKS // 2:
            time.sleep(0.05)
        kill()

    if kill:
        threading.Thread(target=half_way, daemon=True).start()
    began = time.perf_counter()
    found = sweep(["smollm2-135m"], ASKED, SETTINGS, results, on=on)
    seconds = time.perf_counter() - began
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    once = len({(row["question"], row["setting"]) for row in rows}) == len(rows) == TASKS
    by_node = ", ".join(map(str, Counter(row.get("node", "here") for row in rows).values()))
    return name, f"{seconds:.0f}", by_node, "yes" if once else "no", *(one.right for one in found.rows[0][1:])


def main() -> None:
    rows = [measured("this process", "here")]
    for name, killed in (("two nodes", False), ("two, one killed", True)):
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        other = cluster.add_node(**NODE)
        kill = (lambda: cluster.remove_node(other, allow_graceful=False)) if killed else None  # noqa: B023
        rows.append(measured(name, cluster.address, kill))
        cluster.shutdown()
    heads = ("where", "seconds", "answers by node", f"each of {TASKS} once", "right, greedy", "right, at 0.8")
    print(tabulate(rows, heads, tablefmt="github"))


if __name__ == "__main__":
    main()

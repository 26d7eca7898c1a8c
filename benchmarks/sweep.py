"""One sweep on this machine, on two Ray nodes of one core each, and on two of which one is killed half way: into
data/sweep.json. Three minutes on two cores, with the packages of data/environments/scale.txt.

python benchmarks/sweep.py
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

from course.evaluate import questions
from course.sweeps import sweep

TARGET = Path(__file__).resolve().parents[1] / "data" / "sweep.json"
SETTINGS = [{"max_tokens": 40}, {"max_tokens": 40, "temperature": 0.8, "seed": 1}]
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def measured(on: str, kill=None) -> dict:
    """Seconds of one sweep and its answers by node; `kill` is called when half of them are there."""
    asked, results = questions("first_steps"), Path(tempfile.mkdtemp()) / "results.jsonl"
    tasks = len(asked) * len(SETTINGS)

    def half_way():
        while not results.exists() or results.read_bytes().count(b"\n") < tasks // 2:
            time.sleep(0.05)
        kill()

    if kill:
        threading.Thread(target=half_way, daemon=True).start()
    began = time.perf_counter()
    found = sweep(["smollm2-135m"], asked, SETTINGS, results, on=on)
    seconds = round(time.perf_counter() - began, 1)
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    once = len({(row["question"], row["setting"]) for row in rows}) == len(rows) == tasks
    right = [[one.right, one.asked] for one in found.rows[0][1:]]
    return {"seconds": seconds, "by_node": sorted(Counter(row["node"] for row in rows).values()), "tasks": tasks,
            "each_once": once, "failed": sum("error" in row for row in rows), "right": right}  # fmt: skip


def main() -> None:
    rows = {"here": measured("here")}
    for name, killed in (("two nodes", False), ("one killed", True)):
        began = time.perf_counter()
        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        other = cluster.add_node(**NODE)
        up_s = round(time.perf_counter() - began, 1)
        kill = (lambda: cluster.remove_node(other, allow_graceful=False)) if killed else None  # noqa: B023
        rows[name] = measured(cluster.address, kill) | {"cluster_up_s": up_s}
        cluster.shutdown()
    TARGET.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

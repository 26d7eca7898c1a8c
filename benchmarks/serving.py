"""Many clients at once: all clients' tokens per second, and the wait for the first token, for each way to serve them.

Every way stands behind the same server, in a process of its own, and gets the same prompts; the runs go round in turn.
Goal: at 8 clients at least 2.5 times the tokens per second of one. xllamacpp is left out where it isn't installed
(python -m pip install xllamacpp==2026.10.11549).
"""

import http.client
import importlib.util
import json
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from measure import finish, machine_in_words, options, spread
from serving_backends import BACKENDS

from endpoint.start import LISTENING

CLIENTS = (1, 8, 32)
TOKENS = 64
TOPICS = ("a lighthouse", "two foxes", "the last train", "a lost map", "winter in a port", "a crow", "an old clock")


class Served:
    """One way to serve, running."""

    def __init__(self, name: str):
        command = [sys.executable, str(Path(__file__).with_name("serving_backends.py")), name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen(command, **pipes)
        line = next((line for line in self.process.stdout if line.startswith(LISTENING)), None)
        if line is None:
            raise SystemExit(f"{name} did not start: run {' '.join(command[1:])} to see why.")
        self.host = urlsplit(line.removeprefix(LISTENING).strip()).netloc
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def ask(host: str, number: int) -> tuple[int, float]:
    """One streamed answer: how many tokens, and seconds to the first piece of text."""
    topic = TOPICS[number % len(TOPICS)]
    body = {"messages": [{"role": "user", "content": f"Write a long story about {topic}, chapter {number}."}],
            "max_tokens": TOKENS, "stream": True, "stream_options": {"include_usage": True}}  # fmt: skip
    connection = http.client.HTTPConnection(host, timeout=300)
    began, first_s, count = perf_counter(), None, 0
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {response.read()[:300]}")
    while line := response.readline():
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if chunk.get("usage"):
            count = chunk["usage"]["completion_tokens"]
        elif first_s is None and chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            first_s = perf_counter() - began
    connection.close()
    return count, first_s or perf_counter() - began


def measure(host: str, clients: int, each: int) -> tuple[float, list[float]]:
    """All clients' tokens per second, and each request's wait for its first token."""
    rows: list[tuple[int, float]] = []

    def client(place: int) -> None:
        rows.extend(ask(host, place * each + turn) for turn in range(each))

    threads = [threading.Thread(target=client, args=(place,)) for place in range(clients)]
    began = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = perf_counter() - began
    if len(rows) != clients * each:
        raise SystemExit(f"{clients * each - len(rows)} of {clients * each} answers were lost.")
    return sum(count for count, _ in rows) / wall_s, [first for _, first in rows]


def main() -> None:
    quick = options(__doc__).quick
    names = [name for name in BACKENDS if name != "xllamacpp" or importlib.util.find_spec("xllamacpp")]
    served = {name: Served(name) for name in names}
    speeds = {(name, clients): [] for name in names for clients in CLIENTS}
    firsts = {key: [] for key in speeds}
    try:
        for name in names:
            measure(served[name].host, 2, 1)
        for _ in range(1 if quick else 5):
            for clients in CLIENTS[: 2 if quick else 3]:
                for name in names:
                    speed, waits = measure(served[name].host, clients, 3 if clients == 1 else 1)
                    speeds[name, clients].append(speed)
                    firsts[name, clients].append(statistics.median(waits))
    finally:
        for one in served.values():
            one.stop()
    print(f"{machine_in_words()}; {TOKENS} tokens a story, prompts of about 25 tokens, medians (smallest to largest)")
    for name in names:
        one = statistics.median(speeds[name, 1])
        for clients in CLIENTS:
            if runs := speeds[name, clients]:
                ratio = statistics.median(runs) / one
                print(f"{name:15} {clients:2} clients: {spread(runs, 0):20} tokens/s, {ratio:4.2f} of one client's; "
                      f"first token after {spread(firsts[name, clients], 2)} s")  # fmt: skip
    eight, single = (statistics.median(speeds["batched", clients]) for clients in (8, 1))
    finish(batched_8_over_1=eight / single, batched_8_tokens_per_s=eight)


if __name__ == "__main__":
    main()

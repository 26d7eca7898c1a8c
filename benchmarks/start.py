"""How soon the course answers: importing slmlab, loading the bundled model, and the first token of a 32-token prompt.

Each run is a new Python process, in turn with a bare one. Goals: import under 60 ms above bare Python, load under 1 s
with files the system has in memory, first token under 100 ms.
"""

import statistics
import subprocess
import sys
from time import perf_counter

from measure import finish, machine_in_words, options, spread

ANSWER = """
from time import perf_counter
began = perf_counter()
import slmlab
model = slmlab.load()
loaded = perf_counter()
text = "The lighthouse stood at the end of the long stone pier, and every evening its keeper climbed the stairs. " * 2
ids = model.format.ids(text)[:32]
from slmlab.records import Sampling, Start, Token
firsts = []
for _ in range(5):
    model._spare = None
    start = None
    for event in model.stream(ids, Sampling(max_tokens=4)):
        if isinstance(event, Start):
            start = event.time_s
        elif isinstance(event, Token):
            firsts.append(event.time_s - start)
            break
print(len(ids), loaded - began, firsts[0], sorted(firsts[1:])[len(firsts[1:]) // 2])
"""


def wall(code: str) -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - began


def main() -> None:
    runs = 5 if options(__doc__).quick else 15
    wall("pass"), wall("import slmlab")
    above = [(wall("import slmlab") - wall("pass")) * 1000 for _ in range(runs)]
    rows = []
    for _ in range(runs + 1):
        done = subprocess.run([sys.executable, "-c", ANSWER], check=True, capture_output=True, text=True)
        rows.append([float(word) for word in done.stdout.split()])
    rows = rows[1:]  # the first run warms the system's cache
    load, first, later = ([row[i] for row in rows] for i in (1, 2, 3))
    print(f"{machine_in_words()}; {runs} processes, prompt of {rows[0][0]:.0f} tokens")
    print(f"import above bare Python        {spread(above, 1)} ms")
    print(f"import and load, warm           {spread(load)} s")
    print(f"first token, first prompt       {spread([one * 1000 for one in first], 1)} ms")
    print(f"first token, later prompts      {spread([one * 1000 for one in later], 1)} ms")
    finish(
        import_ms=statistics.median(above),
        load_s=statistics.median(load),
        first_token_ms=statistics.median(first) * 1000,
        first_token_later_ms=statistics.median(later) * 1000,
    )


if __name__ == "__main__":
    main()

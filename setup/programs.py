"""Running other programs: an installer as one line that moves, what it does seen from elsewhere, one set-up at a time.

Knows nothing about what is being set up.
"""

import collections
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """The set-up can't go on; the message says why and what to do."""


def read_progress(line, seen):
    """Note in `seen` what a line of uv's or pip's output says: files on their way, their MB, and what goes on."""
    file = re.match(r"\s*Download(ing|ed) (\S+)(?: \(([\d.]+) ?([kKMG])i?B\))?", line)
    if file and file.group(3):
        seen["files"][file.group(2)] = float(file.group(3)) * {"K": 0.001, "M": 1, "G": 1000}[file.group(4).upper()]
    elif file:
        seen["here"].add(file.group(2))
    if file:
        size = sum(seen["files"].values())
        done = sum(seen["files"].get(name, 0) for name in seen["here"])
        seen.update(status=f"{done:.0f} of {size:.0f} MB are here", share=done / size if size else 0)
    elif line.startswith(("Prepared", "Installing collected")):
        seen.update(status="unpacking", share=1)
    elif line.startswith(("Resolved", "Collecting")):
        seen.update(status="looking for packages")


def start(command, env=None, **options):
    environ = dict(os.environ if env is None else env, PYTHONUTF8="1", PIP_USER="0", PIP_NO_INPUT="1")
    environ["PIP_REQUIRE_VIRTUALENV"] = "0"  # pip brings uv into .venv from outside
    for name in ("PYTHONHOME", "PYTHONDONTWRITEBYTECODE"):  # another Python's; and .venv is compiled as it is used
        environ.pop(name, None)
    if os.path.expanduser("~") == "~":  # an account without a home folder, as in some containers
        environ["HOME"] = str(ROOT / ".venv" / "home")
    sys.stdout.flush()
    # The lock is handed down: a program that outlives a killed lab.py keeps the next one waiting.
    hand_down = {"close_fds": os.name == "nt", "cwd": str(ROOT), "env": environ}
    return subprocess.Popen([str(part) for part in command], **hand_down, **options)


def watch(command, env=None, tell=lambda how_far: None):
    """Run a program that talks a lot, as one line that moves. Gives its exit code and its last lines."""
    last, done = collections.deque(maxlen=12), threading.Event()
    seen = {"status": "", "files": {}, "here": set(), "share": 0}
    process = start(command, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ticker = threading.Thread(target=_tick, args=(seen, done, tell))
    ticker.start()
    try:
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            read_progress(line, seen)
            if line.strip() and not line.startswith(" +"):
                last.append(line)
        return process.wait(), list(last)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        done.set()
        ticker.join()


def _tick(seen, done, tell):
    """Seconds and status: in a terminal one line that rewrites itself, in a log a line every ten seconds."""
    began, live, told = time.monotonic(), sys.stdout.isatty(), 0
    while not done.wait(0.5):
        with contextlib.suppress(OSError):  # a full disk is the installer's to tell
            tell({"share": seen["share"], "status": seen["status"]})
        seconds = time.monotonic() - began
        if live or seconds >= told + 10:
            told = seconds
            text = f"      {seconds:3.0f} s  {seen['status']}"
            print("\r" + text[:78].ljust(78) if live else text, end="" if live else "\n", flush=True)
    if live:
        print("\r" + " " * 78 + "\r", end="", flush=True)


def npm_ci(listed, place, what):
    """Bring what package-lock.json in `listed` names to `place`; what is there takes no time, and no network."""
    if _held(place / "node_modules" / ".package-lock.json") == _held(listed / "package-lock.json"):
        return
    node, npm, code = shutil.which("node"), shutil.which("npm"), "parseInt(process.versions.node) >= 20 ? 0 : 1"
    if not (node and npm) or subprocess.run([node, "-e", f"process.exit({code})"]).returncode:
        raise Stop(f"{what} needs Node.js 20 or newer, and its npm. Install it (https://nodejs.org), then try again.")
    print(f"{what} comes from npm.", flush=True)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json") if place != listed else ():
        shutil.copy(str(listed / name), str(place))
    quiet = ("--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    if subprocess.run([npm, "ci", *quiet], cwd=str(place), stdout=subprocess.DEVNULL).returncode:
        raise Stop(f"npm brought no whole copy: its lines above say why. {what} needs it. With a network, try again.")


def _held(lock):
    """Each package of a lock file, and the hash of it. npm writes its own when all is there."""
    try:
        found = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        return {name: one["integrity"] for name, one in found.items() if name}
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def only_one(path):
    """One set-up at a time, by a lock on a file. The system frees it when its holders end, also if they are killed."""
    with open(str(path), "r+b") as file:  # NFS locks no file that is open for reading alone
        os.set_inheritable(file.fileno(), os.name != "nt")
        if not _lock(file):
            print("Another lab.py is setting up this folder: waiting for it. Ctrl-C stops the wait.", flush=True)
            while not _lock(file):
                time.sleep(0.2)
        yield


def _lock(file):
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(2**30)  # far beyond the end: the file stays readable
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks: go on as if alone
    return True

"""Running other programs: pip as one line that moves, its faults as advice, and one set-up at a time.

Knows nothing about what is being set up.
"""

# The syntax is that of Python 3.6 here too: an old Python gets as far as the sentence that says it is too old.
import collections
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """The set-up can't go on; the message says why and what to do."""


def pip_status(line, before=""):
    """What goes on, for someone who waits, after this line of pip's output."""
    percent = re.match(r"Progress (\d+) of (\d+)", line)
    if percent:
        done = int(percent.group(1)) / max(1, int(percent.group(2)))
        return f"{before.split(', ')[0]}, {done:.0%}"
    wheel = re.match(r"\s*Downloading (?:\S*/)?([\w.]+)-\S+\s*(\(.*\))?", line)
    if wheel:
        return f"downloading {wheel.group(1).replace('_', '-')} {wheel.group(2) or ''}".strip()
    if line.startswith("Collecting "):
        return "looking for " + re.split(r"[^\w.-]", line[len("Collecting ") :])[0]
    if line.startswith("Installing collected packages"):
        return f"unpacking {line.count(',') + 1} packages"
    return before


# what a line of pip's last words holds, and what mends it; the first that is found counts
PIP_HINTS = (
    (r"No space left|not enough space|Errno 28", "The disk is full: free some space."),
    (
        r"Permission denied|Access is denied|WinError (5|32)",
        "A file is in use: close notebooks and editors that use .venv.",
    ),
    (r"Hash|hash", "A file arrived damaged: run `pip cache purge`."),
    (
        r"onnection|resol|timed out|Timeout|SSL|ProxyError|unreachable",
        "Check the network or the proxy (`pip config list`).",
    ),
    (r"No matching distribution", "Your package index lacks this version: ask who keeps it, or use another network."),
)


def pip_hint(lines):
    found = (hint for pattern, hint in PIP_HINTS if re.search(pattern, "\n".join(lines)))
    return next(found, "The lines above are pip's own.") + " Then run the same command again: it goes on from here."


def start(command, env=None, **options):
    environ = dict(os.environ if env is None else env, PYTHONUTF8="1", PIP_USER="0", PIP_NO_INPUT="1")
    for name in ("PYTHONHOME", "PYTHONDONTWRITEBYTECODE"):  # another Python's; and .venv is compiled as it is used
        environ.pop(name, None)
    sys.stdout.flush()
    # The lock is handed down: a program that outlives a killed lab.py keeps the next one waiting.
    hand_down = {"close_fds": os.name == "nt", "cwd": str(ROOT), "env": environ}
    return subprocess.Popen([str(part) for part in command], **hand_down, **options)


def watch(command):
    """Run a program that talks a lot, as one line that moves. Gives its exit code and its last lines."""
    seen, done, last = {"status": ""}, threading.Event(), collections.deque(maxlen=12)
    process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ticker = threading.Thread(target=tick, args=(seen, done))
    ticker.start()
    try:
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            seen["status"] = pip_status(line, seen["status"])
            if line and not line.startswith("Progress "):
                last.append(line)
        return process.wait(), list(last)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        done.set()
        ticker.join()


def tick(seen, done):
    """Seconds and status: in a terminal one line that rewrites itself, in a log a line every ten seconds."""
    began, live = time.monotonic(), sys.stdout.isatty()
    while not done.wait(0.5 if live else 10):
        text = f"      {time.monotonic() - began:3.0f} s  {seen['status']}"
        print("\r" + text[:78].ljust(78) if live else text, end="" if live else "\n", flush=True)
    if live:
        print("\r" + " " * 78 + "\r", end="", flush=True)


def pip_install(python, *what):
    # Python compiles a module when it is first imported; compiling all of them now would double the time.
    return watch([python, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", *what])


@contextlib.contextmanager
def only_one(path):
    """One set-up at a time: a lock on a file, which the system opens when its holders end, however they end."""
    with open(str(path), "rb") as file:
        os.set_inheritable(file.fileno(), os.name != "nt")
        if not _lock(file):
            print("Another lab.py is setting up this folder: waiting for it. Ctrl-C stops the wait.", flush=True)
            while not _lock(file):
                time.sleep(0.2)
        yield
        if os.name != "nt":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_UN)  # at once, also where a child still holds the file


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

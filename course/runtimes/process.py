"""A runtime in a process of its own: started on chosen cores, asked through pipes, ended whatever happens.

A crash there is no crash here. Knows nothing about what is asked.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from slmlab.errors import NotHere, SlmLabError

STOP_S = 5


class Ended(SlmLabError):
    """A runtime's process ended before its time, or was never started; the message says why."""


class Worker:
    """The asking side. The first `answer` comes when the model is loaded: what the runtime says of itself, or
    {"absent": ...} where it isn't here. `ask` gives what a command gave and took."""

    def __init__(self, name: str):
        self.name = name
        self._log = tempfile.TemporaryFile()
        # not multiprocessing: it would run the caller's own script again in the new process
        code = f"import sys; sys.path[:] = {sys.path!r}\nfrom course.runtimes.process import serve; serve({name!r})"
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=self._log)

    def ask(self, **command) -> dict:
        with suppress(OSError):  # it ended while nobody asked: the answer says how
            pickle.dump(command, self.process.stdin)
            self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict:
        with suppress(EOFError, pickle.UnpicklingError):
            return pickle.load(self.process.stdout)
        code = self.process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip() or "it said nothing."
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise Ended(f"{self.name} ended ({how}): {said.splitlines()[-1]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Let it end; make it, where it doesn't."""
        with self._log, self.process:  # which closes its pipes and waits
            with suppress(OSError):
                self.process.stdin.close()
            for force in (self.process.terminate, self.process.kill):
                try:
                    self.process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    force()


def cores() -> list[int] | None:
    """One logical core for each physical one among those that this process may use; None where nobody can choose."""
    if not hasattr(os, "sched_getaffinity"):  # Windows and macOS
        return None
    first = {}
    for core in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        first.setdefault(siblings.read_text() if siblings.is_file() else core, core)
    return sorted(first.values())


def serve(name: str) -> None:
    """The process's own side: load the runtime, then do each command until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the cell is for the asking side
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints belongs in the log, not between the answers
    if chosen := cores():
        os.sched_setaffinity(0, chosen)  # before any runtime is imported: some count the cores then
    from course.runtimes.listing import made

    def send(**message) -> None:
        pickle.dump(message, answers)
        answers.flush()

    runtime = made(name)
    if need := runtime.need():
        return send(absent=need)
    try:
        runtime.prepare()
        began = perf_counter()
        runtime.open()
    except ImportError as fault:  # it is there by its name alone, or a part of it isn't
        return send(absent=f"{runtime.facts.name} is here in part ({fault}). To mend it: {runtime.install_line()}")
    except NotHere as fault:
        return send(absent=str(fault))
    about = {"size_bytes": runtime.size_bytes, "token_bytes": runtime.token_bytes, "version": runtime.version}
    send(start_s=perf_counter() - began, **about)
    with suppress(EOFError):  # nobody asks any more
        while True:
            send(**_done(runtime, **pickle.load(sys.stdin.buffer)))
    runtime.close()


def _done(runtime, read: list | tuple = (), write: int = 0, score: list | tuple = ()) -> dict:
    """One command: read, write or score."""
    if score:
        return dict(zip(("logprobs", "likeliest"), runtime.score(score), strict=True))
    given = {}
    if read:
        runtime.forget()
        began = perf_counter()
        runtime.read(read)
        given["read_s"] = perf_counter() - began
    if write:
        began = perf_counter()
        given["ids"] = runtime.write(write)
        given["write_s"] = perf_counter() - began
    return given | {"resident_bytes": runtime.resident_bytes()}

"""A runtime in a process of its own: started on chosen cores, asked through a pipe, ended whatever happens.

A crash there is no crash here. Knows nothing about what is asked.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from slmlab.errors import SlmLabError

STOP_S = 5


class Ended(SlmLabError):
    """A runtime's process ended before its time; the message holds its reason, or else its last line."""


class Worker:
    """The asking side. `start` waits until the model is loaded, `ask` gives what a command gave and took."""

    def __init__(self, name: str, cores: list[int] | None = None, file: Path | None = None):
        self.name = name
        context = multiprocessing.get_context("spawn")  # fork would copy this process's threads and models
        self._pipe, theirs = context.Pipe()
        handle, self._said = tempfile.mkstemp(".log")
        os.close(handle)
        self.process = context.Process(target=_serve, args=(theirs, self._said, name, cores, file), daemon=True)
        self.process.start()
        theirs.close()

    def start(self) -> dict:
        """What the runtime says of itself once it is loaded; {"absent": ...} where it isn't here."""
        told = self._answer()
        if "refused" in told:
            raise Ended(f"{self.name}: {told['refused']}")
        return told

    def ask(self, **command) -> dict:
        with suppress(OSError):  # it ended while nobody asked: the answer says how
            self._pipe.send(command)
        return self._answer()

    def _answer(self) -> dict:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self.process.join(STOP_S)
        code = self.process.exitcode or 0
        lines = Path(self._said).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing.")
        raise Ended(f"{self.name} ended ({f'signal {-code}' if code < 0 else f'exit code {code}'}): {last}")

    def stop(self) -> None:
        """Let it end; make it, where it doesn't."""
        self._pipe.close()
        for further in (self.process.terminate, self.process.kill):
            self.process.join(STOP_S)
            if self.process.exitcode is None:
                further()
        self.process.join()
        Path(self._said).unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _serve(pipe, said: str, name: str, cores: list[int] | None, file: Path | None) -> None:
    """The process's own side: load the runtime, then do each command until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the cell is for the asking side
    sys.stdout.flush()
    log = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if cores:
        _stay_on(cores)  # before any runtime is imported: some count the cores then
    from course.runtimes.listing import made

    runtime = made(name, file)
    if need := runtime.need():
        return pipe.send({"absent": need})
    try:
        runtime.prepare()
        began = perf_counter()
        runtime.open()
    except ImportError as fault:  # it is there by its name alone, or a part of it isn't
        return pipe.send({"absent": f"{runtime.facts.install_line()}   ({fault})"})
    except SlmLabError as fault:
        return pipe.send({"refused": str(fault)})
    about = {"size_bytes": runtime.size_bytes, "token_bytes": runtime.token_bytes, "version": runtime.version}
    pipe.send({"start_s": perf_counter() - began} | about)
    try:
        while True:
            pipe.send(_done(runtime, **pipe.recv()))
    except EOFError:  # nobody asks any more
        runtime.close()


def _stay_on(cores: list[int]) -> None:
    import psutil

    with suppress(AttributeError, OSError, ValueError):  # macOS lets nobody choose
        psutil.Process().cpu_affinity(cores)


def _done(runtime, read: list[int] | None = None, write: int = 0, score: list[int] | None = None) -> dict:
    """One command: read, write or score."""
    if score:
        logprobs, likeliest = runtime.score(score) or (None, None)
        return {"logprobs": logprobs, "likeliest": likeliest}
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

"""The child's side of acting.run: a script that puts up the fence, calls the function and writes its value as JSON.

Nothing of the course is in its process, so it imports Python's own parts only.
"""

import ctypes  # noqa: F401  numpy imports it, and that opens the C library: behind the fence it couldn't
import json
import os
import sys

# What Python reports to its audit hooks while it computes, by how it begins. All else is refused.
HARMLESS = ("array.", "builtins.", "code.", "compile", "exec", "function.", "glob.", "import", "marshal.", "object.")
HARMLESS += ("os.fwalk", "os.walk", "pathlib.", "pickle.", "sys._getframe", "sys.excepthook", "sys.unraisablehook")
HARMLESS += ("time.", "_thread.", "os.add_dll_directory", "os.putenv", "os.unsetenv")  # the last three: numpy's import
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def refuse(what: str) -> None:
    raise PermissionError(f"it may not {what}")


def limit(memory_mb: int, seconds: float) -> None:
    """What no hook hears of: memory, time when its parent is gone, what C writes, what Tcl and others start."""
    sys.modules.update(_tkinter=None)
    try:
        import _posixsubprocess
        import resource
    except ImportError:  # Windows
        return
    vars(_posixsubprocess).update(fork_exec=lambda *_: refuse("start a program"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


def real(path) -> str:
    """Where its links lead, with a separator at the end: /notes2 isn't in /notes."""
    return os.path.join(os.path.normcase(os.path.realpath(os.fsdecode(path))), "")


def watcher(folder: str | None):
    """The hook that Python asks before it opens, connects or starts anything."""
    installed = real(sys.prefix), real(sys.base_prefix)
    readable = [real(path) for path in sys.path if real(path).startswith(installed)]  # not a clone that pip links to
    readable = tuple(readable + ([real(folder)] if folder else []))

    def watch(event: str, values: tuple) -> None:
        if event == "open" and values[2] & WRITING:
            refuse(f"write {values[0]!r}")
        if event in ("open", "os.listdir", "os.scandir"):
            path = "." if values[0] is None else values[0]
            if not isinstance(path, int) and not real(path).startswith(readable):  # a number is open already
                refuse(f"read {path!r}, which is outside its folder")
        elif not event.startswith(HARMLESS):
            refuse(f"use {event}")

    return watch


def answer(name: str, source: str, arguments: list) -> dict:
    space = {"__name__": "fenced"}
    try:
        exec("from __future__ import annotations\n" + source, space)  # hints may name what isn't here
        return {"value": str(space[name](*arguments))}
    except BaseException as fault:  # SystemExit is one
        return {"error": f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}".rstrip(": ")}


if __name__ == "__main__":
    order = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    os.dup2(2, 1)  # what the function prints goes nowhere
    limit(order.pop("memory_mb"), order.pop("seconds"))
    sys.addaudithook(watcher(order.pop("folder")))
    json.dump(answer(**order), out, ensure_ascii=False)
    out.flush()
    os._exit(0)  # threads that are left end with it

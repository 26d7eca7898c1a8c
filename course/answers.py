"""Runs a learner's answer without harm: in a time limit, its faults in kind words, its values read.

Knows nothing about which answer is right.
"""

import ctypes
import linecache
import math
import re
import reprlib
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

LIMIT_S = 5.0


class NotYet(Exception):
    """What is still missing, as a sentence without its full stop."""


def need(met: object, missing: str) -> None:
    """Says what is missing, where it isn't there."""
    if not met:
        raise NotYet(missing)


class _TooLong(SystemExit):
    """Ends an answer that runs on; no Exception, so that a learner's `except Exception` lets it through."""


def judge(verdict: Callable[[object], None], answer: object, limit_s: float | None = None) -> str | None:
    """What the answer lacks, in a sentence without its full stop; None when the verdict raises nothing."""
    if answer is None:
        return "nothing is handed over yet"
    if answer is Ellipsis:
        return "the `...` still waits for your code"
    try:
        _in_time(verdict, answer, limit_s or LIMIT_S)
    except NotYet as missing:
        return str(missing)
    except SystemExit:
        return "your code called `exit`, which ends Python; a function ends with `return`"
    except Exception as fault:  # whatever a learner's code can raise is part of the answer
        return _raised(fault)
    return None


def _in_time(verdict: Callable, answer: object, limit_s: float) -> None:
    """Raise what the verdict raises. It runs in a thread of its own: an endless loop with a bare `except:` swallows
    whatever is raised in its thread, Ctrl-C too, and must not keep the cell."""
    raised = []

    def run():
        try:
            verdict(answer)
        except BaseException as fault:
            raised.append(fault)

    # the context carries the cell's settings along: np.errstate, and where Jupyter prints
    worker = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
    worker.start()
    deadline_s = time.monotonic() + limit_s
    try:
        while worker.is_alive() and time.monotonic() < deadline_s:
            worker.join(0.05)  # on Windows Ctrl-C is heard only between two waits
        late = worker.is_alive()
    finally:
        ended = _end(worker)
    end = "was stopped" if ended else "can't be stopped, so restart the kernel"
    running = f"your code was still running after {limit_s:g} seconds and {end}"
    need(not late, f"{running}; is there a loop that never ends?")
    if raised:
        raise raised[0]


def _end(worker: threading.Thread) -> bool:
    """Whether the thread has ended. _TooLong is raised in it again and again, for a bare `except:` swallows one.
    A call that never comes back to Python can't be ended."""
    for _ in range(20):
        if not worker.is_alive():
            break
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(_TooLong))
        worker.join(0.05)
    return not worker.is_alive()


def _raised(fault: Exception) -> str:
    """The fault, and the last line of the learner's own that led to it."""
    name = type(fault).__name__
    words = f"it stopped with {code(f'{name}: {fault}' if str(fault) else name)}"
    here = Path(__file__).parent
    folders = (here, *map(here.with_name, ("slmlab", "endpoint")), *map(sysconfig.get_path, ("stdlib", "purelib")))
    ours = ("<frozen", *map(str, folders))
    for frame, number in reversed(list(traceback.walk_tb(fault.__traceback__))):
        file = frame.f_code.co_filename
        line = linecache.getline(file, number, frame.f_globals).strip()
        if line and not file.startswith(ours):
            return f"{words} in its line {code(line)}"
    return words


def code(text: str, width: int = 90) -> str:
    """Text in backticks as it is, but on one line and cut to a length that reads well. Where it holds backticks, one
    more of them enclose it, as in Markdown."""
    text = re.sub(r"\s*\n\s*", " ", text.strip())
    text = text if len(text) <= width else text[: width - 1] + "…"
    ticks = max(re.findall("`+", text), default="")
    return f"{ticks}` {text} `{ticks}" if ticks else f"`{text}`"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 56
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 8


def shown(value: object) -> str:
    """A value as the learner would see it, however large it is."""
    return code(_SHORT.repr(value), 60)


def function_in(answer: Any, name: str) -> Callable:
    """The answer where it is a function; else what to hand over."""
    named = f"hand over your function itself, `{name}` with no parentheses, not {shown(answer)}"
    need(callable(answer) and not isinstance(answer, type), named)
    return answer


def returned(value: object) -> object:
    """What the learner's function gave; nothing, a `...` and a generator are named."""
    need(value is not None, "your function gave nothing; does it end in `return`?")
    need(value is not Ellipsis, "your function gave `...`; put your code in its place")
    need(not hasattr(value, "__next__"), "your function gave a generator; gather what it yields in a list")
    return value


def pair_from(value: object, wanted: str) -> tuple:
    """The two things that the learner's function gave."""
    need(isinstance(returned(value), tuple | list) and len(value) == 2, f"give {wanted}, not {shown(value)}")
    return tuple(value)


def number_from(value: Any) -> float:
    """What the learner's function gave, as a float; text, lists and nan are named."""
    try:
        number = None if isinstance(returned(value), str | bool) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # a list, a huge number, a whole tensor
        number = None
    need(number is not None, f"your function gave {shown(value)}, and a number is wanted")
    need(math.isfinite(number), f"your function gave {shown(number)}, which is no number to work with")
    return number  # ty: ignore[invalid-explicit-return]  # need() has raised where it is None


def numbers_from(value: object, size: int | None = None) -> list[float]:
    """What the learner's function gave, as a list of floats: from a list, tuple, numpy array or tensor."""
    values = value.tolist() if hasattr(returned(value), "tolist") else value
    try:
        numbers = [float(one) for one in values] if isinstance(values, list | tuple) else None
    except (TypeError, ValueError):
        numbers = None
    need(numbers is not None, f"your function gave {shown(values)}, and a list of numbers is wanted")
    need(size in (None, len(numbers)), f"your function gave {len(numbers)} numbers where {size} are wanted")
    return numbers  # ty: ignore[invalid-explicit-return]  # and here


def near(value: object, wanted: object) -> bool:
    """Whether it is the same, but for the last digits of a float."""
    value = value.tolist() if hasattr(value, "tolist") else value  # of numpy or torch
    value = list(value) if isinstance(wanted, list) and isinstance(value, tuple) else value
    if isinstance(value, float) and isinstance(wanted, float):
        return math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-12)
    return value == wanted

"""Looking at a learner's answer without being hurt by it: what it is, what it gave, what went wrong, in kind words.

Knows nothing about which answer is right.
"""

import ctypes
import linecache
import math
import reprlib
import sysconfig
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

LIMIT_S = 5.0
_OURS = ("<frozen", str(Path(__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))


class NotYet(Exception):
    """What is still missing, as a sentence without its full stop."""


class _TooLong(BaseException):
    """Stops an answer that runs on; no Exception, so that a learner's own `except Exception` lets it through."""


def judge(verdict: Callable[[object], str | None], answer: object) -> str | None:
    """What the verdict function says of the answer: None when it is right. Never raises because of the answer."""
    if answer is None:
        return "nothing is handed over yet"
    if answer is Ellipsis:
        return "the `...` still waits for your code"
    try:
        with _time_limit(LIMIT_S):
            return verdict(answer)
    except NotYet as missing:
        return str(missing)
    except _TooLong:
        return (
            f"your code was still running after {LIMIT_S:g} seconds and was stopped; is there a loop that never ends?"
        )
    except SystemExit:
        return "your code called `exit`, which ends Python; a function ends with `return`"
    except Exception as fault:  # whatever a learner's code can raise is part of the answer
        return _raised(fault)


@contextmanager
def _time_limit(limit_s: float):
    """Raise _TooLong in this thread once the time is over. A call that never comes back to Python can't be ended."""
    raise_in, here = ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_ulong(threading.get_ident())
    lock, state = threading.Lock(), {"open": True, "fired": False}

    def stop():
        with lock:
            if state["open"]:
                state["fired"] = True
                raise_in(here, ctypes.py_object(_TooLong))

    timer = threading.Timer(limit_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            state["open"] = False
            if state["fired"]:
                raise_in(here, None)  # it may be on its way still, and must not strike later


def _raised(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "your function calls itself without end"
    said = " ".join(str(fault).split())
    words = f"it stopped with {code(type(fault).__name__ + (': ' + said if said else ''))}"
    for frame, number in reversed(list(traceback.walk_tb(fault.__traceback__))):
        name = frame.f_code.co_filename
        if not name.startswith(_OURS):
            line = linecache.getline(name, number, frame.f_globals).strip()
            return f"{words} in its line {code(line)}" if line else f"{words} in its line {number}"
    return words


def code(text: str, width: int = 90) -> str:
    """Text in backticks, on one line, cut to a length that reads well."""
    text = " ".join(text.replace("`", "'").split())
    return f"`{text if len(text) <= width else text[: width - 1] + '…'}`"


def shown(value: object) -> str:
    """A value as the learner would see it, however large, odd or broken its repr is."""
    try:
        return code(_SHORT.repr(value), 60)
    except Exception:  # a learner's __repr__ may do anything
        return f"an odd {type(value).__name__}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 56
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 8


def function_in(answer: object, name: str) -> Callable:
    """The answer where it is a function; else what to hand over."""
    if isinstance(answer, type) or not callable(answer):
        raise NotYet(f"hand over your function itself, `{name}` with no parentheses, not {shown(answer)}")
    return answer


def given(function: Callable, *arguments: object, nothing: str = "") -> object:
    """What the learner's function gives; nothing (in the words of `nothing`), a `...` and a generator are named."""
    value = function(*arguments)
    if value is None:
        raise NotYet(nothing or "your function gave nothing; does it end in `return`?")
    if value is Ellipsis:
        raise NotYet("your function gave `...`; put your code in its place")
    if hasattr(value, "__next__"):
        raise NotYet("your function gave a generator; gather what it yields in a list")
    return value


def number_from(value: object) -> float:
    """The value as a float; text, lists and nan are named."""
    if isinstance(value, (str, bytes, bool)):
        raise NotYet(f"your function gave {shown(value)}, and a number is wanted")
    try:
        number = float(value)
    except Exception:  # torch, numpy and a learner's own classes each fail in their own way
        raise NotYet(f"your function gave {shown(value)}, and a number is wanted") from None
    if not math.isfinite(number):
        raise NotYet(f"your function gave {shown(number)}, which is no number to work with")
    return number


def numbers_from(value: object, size: int | None = None) -> list[float]:
    """The value as a list of floats, from a list, tuple, numpy array or tensor."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise NotYet(f"your function gave {shown(value)}, and a list of numbers is wanted")
    if size is not None and len(value) != size:
        raise NotYet(f"your function gave {len(value)} numbers where {size} are wanted")
    try:
        return [float(one) for one in value]
    except Exception:  # the same as above, item by item
        raise NotYet(f"your function gave {shown(value)}, and a list of numbers is wanted") from None


def near(value: float, wanted: float, tolerance: float = 1e-6) -> bool:
    return math.isclose(value, wanted, rel_tol=tolerance, abs_tol=1e-12)

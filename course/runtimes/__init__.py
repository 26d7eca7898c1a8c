"""Runtimes of the bundled model, a small file each with the contract of `contract.Runtime`; a race over them, and a
question to each. A file lists its RUNTIMES: a name, to what makes it."""

from importlib import import_module

_HOMES = {
    "ask": "asking",
    "answers": "listing",
    "race": "racing",
    "roster": "listing",
    "bandwidth": "memory_speed",
    "plots": None,
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'course.runtimes' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    found = (
        getattr(import_module(f"course.runtimes.{home}"), name) if home else import_module(f"course.runtimes.{name}")
    )
    globals()[name] = found
    return found


def __dir__():
    return __all__

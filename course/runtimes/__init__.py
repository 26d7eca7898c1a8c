"""The bundled model on every runtime: a question to each, a race over them, and who is there.

A runtime is a small file with the contract of `contract.Runtime`, a row in `listing.RUNTIMES` and its facts in
data/runtimes.toml.
"""

from importlib import import_module

_HOMES = {  # no module is called as one of these functions: importing it would take the function's place
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
    home = import_module(f"course.runtimes.{_HOMES[name] or name}")
    found = getattr(home, name) if _HOMES[name] else home
    globals()[name] = found
    return found


def __dir__():
    return __all__

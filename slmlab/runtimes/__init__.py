"""Runtimes of the bundled model, a small file each with the contract of `contract.Runtime`; a race over them, and a
question to each. A file lists its RUNTIMES: a name, to what makes it."""

from importlib import import_module

_HOMES = {"ask": "asking", "answers": "listing", "race": "racing", "roster": "listing"}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'slmlab.runtimes' has no attribute {name!r}. It has: {', '.join(__all__)}")
    return getattr(import_module(f"slmlab.runtimes.{_HOMES[name]}"), name)


def __dir__():
    return __all__

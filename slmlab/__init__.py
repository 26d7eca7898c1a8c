"""SLM Lab: small language models that really run, on any laptop.

    import slmlab
    model = slmlab.load()
    model.ask("Why is the sky blue?").show()

Names are fetched when they are first used, so importing slmlab costs nothing.
"""

from importlib import import_module

_HOMES = {
    "load": "loading",
    "connect": "connecting",
    "services": "connecting",
    "card": "catalog",
    "cards": "catalog",
    "benchmarks": "catalog",
    "DATA": "catalog",
    "will_it_fit": "machine",
    "folder": "weights",
    "Message": "records",
    "Sampling": "records",
    "SlmLabError": "errors",
    "as_picture": "pictures",
    "as_pictures": "pictures",
    "measure": None,  # None: the module itself
    "plots": None,
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'slmlab' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    found = getattr(import_module(f"slmlab.{home}"), name) if home else import_module(f"slmlab.{name}")
    globals()[name] = found
    return found


def __dir__():
    return __all__

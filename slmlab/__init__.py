"""SLM Lab: small language models that really run, on any laptop.

    import slmlab
    model = slmlab.load()
    model.ask("Why is the sky blue?").show()

Names are fetched when they are first used, so importing slmlab costs nothing.
"""

from importlib import import_module

_HOMES = {
    "loading": ["load"],
    "connecting": ["connect", "services"],
    "catalog": ["card", "cards", "benchmarks", "DATA"],
    "machine": ["will_it_fit"],
    "weights": ["folder"],
    "records": ["Message", "Sampling"],
    "errors": ["SlmLabError"],
    "pictures": ["as_picture", "as_pictures"],
}
__all__ = [name for names in _HOMES.values() for name in names] + ["measure", "plots"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module 'slmlab' has no attribute {name!r}. It has: {', '.join(__all__)}")
    homes = [home for home, names in _HOMES.items() if name in names]
    found = getattr(import_module(f"slmlab.{homes[0]}"), name) if homes else import_module(f"slmlab.{name}")
    globals()[name] = found
    return found


def __dir__():
    return __all__

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
    "endpoint": "connecting",
    "serve": "serving.process",
    "status_table": "providers",
    "card": "catalog",
    "cards": "catalog",
    "benchmarks": "catalog",
    "machine": "hardware",
    "will_it_fit": "hardware",
    "examine": "doctor",
    "Message": "records",
    "Sampling": "records",
    "SlmLabError": "errors",
    "as_picture": "pictures",
    "as_pictures": "clips",
    "read_text": "ocr",
    "check": "teaching.checks",
    "progress": "teaching.checks",
    "quiz": "teaching.widgets",
    "plots": "teaching",
    "evaluate": "teaching",
    "widgets": "teaching",
    "metrics": "",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'slmlab' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    if name in ("plots", "evaluate", "widgets", "metrics"):
        found = import_module(".".join(part for part in ("slmlab", home, name) if part))
    else:
        found = getattr(import_module(f"slmlab.{home}"), name)
    globals()[name] = found
    return found


def __dir__():
    return __all__

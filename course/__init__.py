"""What teaches: exercises, quizzes, predictions, controls, drawn pictures, a look inside models, a race of runtimes.

Names are fetched when they are first used, as in slmlab.
"""

from importlib import import_module

_HOMES = {
    "check": "course.checking",
    "progress": "course.checking",
    "predict": "course.predicting",
    "quiz": "course.quizzes",
    "examine": "course.doctor",
    "glossary": "course.glossary",
    "read_text": "course.ocr",
    "table": "slmlab.show",
    "evaluate": None,  # None: the module itself
    "making": None,
    "sweeps": None,
    "widgets": None,
    "drawn": None,
    "inside": None,
    "runtimes": None,
    "acting": None,
    "at_scale": None,
    "speech": None,
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'course' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    found = getattr(import_module(home), name) if home else import_module(f"course.{name}")
    globals()[name] = found
    return found


def __dir__():
    return __all__

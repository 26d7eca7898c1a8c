"""What teaches: exercises, quizzes, predictions, controls, drawn pictures, a look inside models, a race of runtimes.

Names are fetched when they are first used, as in slmlab.
"""

from importlib import import_module

_HOMES = {
    "check": "checking",
    "progress": "checking",
    "predict": "predicting",
    "quiz": "quizzes",
    "examine": "doctor",
    "glossary": "glossary",
    "read_text": "ocr",
    "image_tokens": "picture_tokens",
    "evaluate": None,  # None: the module itself
    "widgets": None,
    "drawn": None,
    "inside": None,
    "runtimes": None,
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'course' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    found = getattr(import_module(f"course.{home}"), name) if home else import_module(f"course.{name}")
    globals()[name] = found
    return found


def __dir__():
    return __all__

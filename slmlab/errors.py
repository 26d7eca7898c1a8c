"""The exceptions of slmlab. Every message says what happened and what to do next."""

from difflib import SequenceMatcher
from numbers import Integral, Real
from textwrap import fill


class SlmLabError(Exception):
    """Anything slmlab refuses on purpose; catch this one to catch them all."""

    advice = ""  # the part of the message that says what to do
    code = None  # a service's own word for the fault

    def show(self) -> None:
        """Print the message in lines that fit a notebook, what to do on lines of its own."""
        fit = {"width": 96, "break_on_hyphens": False}
        print(fill(str(self).removesuffix(self.advice).rstrip(), **fit))
        if self.advice:
            print(fill(self.advice, initial_indent="→ ", subsequent_indent="  ", **fit))


class UnknownName(SlmLabError):
    """A model, exercise, quiz or other name that isn't in the catalog; the message lists the near ones."""


class BadRequest(SlmLabError):
    """A prompt or setting that can't be run: empty, too long for the context, out of range."""


class NotHere(SlmLabError):
    """What is asked for isn't on this machine: weights, a package, memory or disk, a key."""


class ProviderError(SlmLabError):
    """A service refused, failed or can't be reached; `status` and `code` are its own."""

    def __init__(self, message: str, advice: str = "", *, status=None, code=None):
        super().__init__(f"{message} {advice}".strip())
        self.advice = advice.strip()
        self.status, self.code = status, code


class IncompleteAnswer(UserWarning):
    """A connection broke in the middle of an answer: what had arrived is kept."""


def quoted(name: object) -> str:
    """A name for a message: as it was written, and cut where it is no name any more."""
    text = repr(name)
    return text if len(text) <= 100 else f"{text[:80]} ..."


def nearest(name: str, known: list[str]) -> str:
    """`Available: ...` with the closest names first, for the end of an UnknownName message."""
    asked, size = name[:100].lower(), len(name) + 1
    known = sorted(known, key=lambda one: -SequenceMatcher(None, asked, one.lower()[:size]).ratio())
    return "Available: " + ", ".join(known)


def in_range(name: str, value: object, low: float, high: float, meaning: str):
    """The number where it is in these limits, and whole where the lowest is (NumPy's are welcome), else a refusal."""
    kind = Integral if isinstance(low, int) else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:  # NaN is nowhere
        raise BadRequest(f"{name}={value!r} is out of range: {meaning}.")
    return int(value) if kind is Integral else float(value)

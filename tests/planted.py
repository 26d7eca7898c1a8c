"""Keys that tests plant, and the watch over where they show up: no message, output or log may hold one.

A planted key has `planted` in it, in any case. conftest.py hands over what it sees.
"""

import re

PLANTED = re.compile(r"[\w-]*planted[\w-]*", re.IGNORECASE)
# What real keys of the services of the course look like: long, after a beginning of their own.
REAL = re.compile(r"\b(?:nvapi-|ghp_|gh[osur]_|github_pat_|sk-|hf_)[A-Za-z0-9_-]{20,}")


def shown_in(text: str) -> list[str]:
    """The planted keys that a text shows."""
    return sorted(set(PLANTED.findall(text)))

"""Keys that tests plant, and the watch over where they show up: no message, output or log may hold one.

A planted key has `planted` in it, in any case. conftest.py hands over what it sees.
"""

import re

PLANTED = re.compile(r"[\w-]*planted[\w-]*", re.IGNORECASE)
# What real keys look like, of the services of the course and of others: long, after a beginning of their own.
REAL = re.compile(
    r"\b(?:nvapi-|gh[opsur]_|github_pat_|glpat-|sk-|hf_|pypi-|npm_|xox[abp]-|AIza|eyJ[\w-]+\.eyJ)[A-Za-z0-9_-]{20,}"
    r"|\bAKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY"
)


def shown_in(text: str) -> list[str]:
    """The planted keys that a text shows."""
    return sorted(set(PLANTED.findall(text)))

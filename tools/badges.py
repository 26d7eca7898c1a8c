"""Writes the repository's address of pyproject.toml into every badge and link: `python -m tools.badges`, in a fork."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A picture of our own: a lesson that is opened asks no server for anything.
BADGE = "images/codespaces.svg)](https://codespaces.new/{})"
PLACES = ("*.md", "*.cff", ".github/**/*.yml", "notebooks/*.ipynb")


def address(root: Path = ROOT) -> str:
    """OWNER/NAME, as pyproject.toml has it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/").strip("/")


def rewrite(root: Path = ROOT) -> list[str]:
    """Every file that had the address which README's badge has, and has the new one now."""
    new = address(root)
    old = re.search(r"codespaces\.new/([\w.-]+/[\w.-]+)", (root / "README.md").read_text(encoding="utf-8"))[1]
    changed = []
    for path in sorted(path for place in PLACES for path in root.glob(place)):
        before = path.read_bytes()
        after = re.sub(rb"\b%s(?![\w-])" % re.escape(old.encode()), new.encode(), before)
        if after != before:
            path.write_bytes(after)
            changed.append(path.name)
    return changed


if __name__ == "__main__":
    print("\n".join(rewrite()) or "Every badge has this address already.")

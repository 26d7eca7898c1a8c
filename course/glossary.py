"""glossary("KV cache"): one plain sentence a term, and the lesson that introduces it; without a term, all of them."""

import tomllib

from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import Table


def terms() -> dict[str, dict]:
    return tomllib.loads((DATA / "glossary.toml").read_text(encoding="utf-8"))


def glossary(term: str | None = None) -> Table:
    known = terms()
    if term is None:
        return _table(known, sorted(known, key=str.lower))
    spelled = {word.lower(): name for name, entry in known.items() for word in (name, *entry.get("also", ()))}
    if term.strip().lower() not in spelled:
        raise UnknownName(f"The glossary has no {quoted(term)}. {nearest(term, list(known))}")
    return _table(known, [spelled[term.strip().lower()]])


def _table(known: dict[str, dict], names: list[str]) -> Table:
    rows = [(name, known[name]["means"], known[name]["lesson"]) for name in names]
    return Table(("term", "what it means", "lesson"), rows)

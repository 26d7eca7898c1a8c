"""glossary("KV cache"): one plain sentence a term, and the lesson that introduces it; without a term, all of them."""

import tomllib
from dataclasses import dataclass

from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import Shown, Table


@dataclass(frozen=True, repr=False)
class Glossary(Shown):
    """Terms with their meanings. Iterate `terms`, or print it."""

    terms: dict[str, dict]

    def _table(self) -> Table:
        return Table(
            ("term", "what it means", "lesson"),
            [(term, entry["means"], entry["lesson"]) for term, entry in self.terms.items()],
        )


def terms() -> dict[str, dict]:
    return tomllib.loads((DATA / "glossary.toml").read_text(encoding="utf-8"))


def glossary(term: str | None = None) -> Glossary:
    known = terms()
    if term is None:
        return Glossary(dict(sorted(known.items(), key=lambda pair: pair[0].lower())))
    spelled = {word.lower(): name for name, entry in known.items() for word in (name, *entry.get("also", ()))}
    if term.strip().lower() not in spelled:
        raise UnknownName(f"The glossary has no {quoted(term)}. {nearest(term, list(known))}")
    name = spelled[term.strip().lower()]
    return Glossary({name: known[name]})

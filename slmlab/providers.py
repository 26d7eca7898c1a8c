"""The services of this course as data: how each is reached, what it calls a model, which variables hold its key.

Reads data/providers.toml and the environment; knows nothing about networks.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from slmlab.catalog import DATA, Card, card, cards
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.show import Shown, Table

if TYPE_CHECKING:
    from pydantic import SecretStr


@dataclass(frozen=True, repr=False)
class Provider(Shown):
    """One service; data/providers.toml says what each field means."""

    id: str
    name: str
    what: str
    status: str
    status_date: date
    status_text: str
    source: str
    grade: str
    key_needed: bool
    go_to: str
    error_shape: str
    base_url: str | None = None
    url_variables: list[str] = field(default_factory=list)
    url_example: str | None = None
    path: str = ""
    key_variables: list[str] = field(default_factory=list)
    key_from: str | None = None
    key_hint: str = ""
    name_hint: str = "Asked for {model!r} at {url}; .models() lists the names that the server knows."
    ids_field: str | None = None
    id_prefix: str = ""
    image_form: str = "parts"
    image_characters: int | None = None
    practice: str | None = None
    events: list[dict] = field(default_factory=list)

    @property
    def key_names(self) -> str:
        """The variables that may hold its key, in words."""
        return " or ".join(self.key_variables)

    @property
    def url_names(self) -> str:
        """The variables that may hold its address, in words."""
        return " or ".join(self.url_variables)

    def model_id(self, model: str | Card) -> str:
        """What a model is called here. A name that the catalog doesn't know is taken as it stands."""
        if self.ids_field is None:
            return getattr(model, "id", model)
        try:
            found = card(model)
        except UnknownName:
            return model
        name = getattr(found.ids, self.ids_field)
        if name is None:
            near = nearest(found.id, [one.id for one in cards().values() if getattr(one.ids, self.ids_field)])
            raise UnknownName(f"{self.name} has no {found.id} that this course knows of. {near}.")
        return name if "/" in name else self.id_prefix + name

    def _text(self) -> Table:
        rows = [
            ("what it is", self.what),
            ("address", self.base_url or f"yours, in {self.url_names}"),
            ("key", self.key_names or "none needed"),
            ("its errors", self.error_shape),
            (f"status, {self.status_date}", self.status_text),
        ]
        rows += [("key from", self.key_from)] if self.key_from else []
        rows += [(event["date"], f"{event['text']} [{event['grade']}]") for event in self.events]
        return Table(("", ""), rows, f"{self.name} [{self.id}]", wrap=100)

    def _table(self) -> Table:
        return replace(self._text(), note=f"Source: {self.source}")


class Services(Shown):
    """What became of each service and when, with the grade of its source; services()['nvidia'] gives one of them."""

    def __getitem__(self, name: str) -> Provider:
        return provider(name)

    def _text(self) -> Table:
        heads = ("service", "connect(...)", "status", "as of", "source", "in short")
        known = providers().values()
        rows = [(one.name, one.id, one.status, one.status_date, one.grade, one.status_text) for one in known]
        return Table(heads, rows, wrap=130)

    def _table(self) -> Table:
        note = "read: in the maker's own text; secondary: in someone else's; memory: check before you rely on it."
        return replace(self._text(), caption="The services of this course", note=note)


def services() -> Services:
    """What became of each service, as a table."""
    return Services()


@cache
def providers() -> dict[str, Provider]:
    """Every service by its id, in the order of data/providers.toml."""
    tables = tomllib.loads((DATA / "providers.toml").read_text(encoding="utf-8"))
    return {name: Provider(id=name, **table) for name, table in tables.items()}


def provider(name: str | Provider) -> Provider:
    """The service of that id; upper and lower case are the same."""
    if isinstance(name, Provider):
        return name
    known, wanted = providers(), str(name).strip().lower()
    if wanted not in known:
        near = nearest(wanted, list(known))
        raise UnknownName(f"Unknown provider {quoted(name)}. {near}. Or give a URL: 'https://...'.")
    return known[wanted]


def key_of(who: Provider) -> SecretStr | None:
    """The key in the first variable of this provider that is set. No other provider's variables are looked at."""
    for variable in who.key_variables:
        if os.environ.get(variable, "").strip():
            return as_key(os.environ[variable], variable)
    return None


def as_key(text: str | SecretStr, place: str = "key") -> SecretStr:
    """A key without the blanks around it, refused when it can't go into a header; the message doesn't show it."""
    from pydantic import SecretStr  # here: pydantic costs a lesson's first cell 0.2 s

    if isinstance(text, SecretStr):
        return text
    key = text.strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise BadRequest(f"{place} holds a blank or a letter that no key has. Copy the key again; it isn't shown here.")
    return SecretStr(key)

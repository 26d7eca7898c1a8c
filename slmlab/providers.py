"""The services of this course as data: how each is reached, what it calls a model, which variables hold its key.

Reads data/providers.toml and the environment; knows nothing about networks.
"""

import os
import tomllib
from dataclasses import replace
from functools import cache

from slmlab.catalog import DATA, Card, Facts, card
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.show import Shown, Table


class Provider(Shown, Facts):
    """One service; data/providers.toml says what each field means. What it doesn't say is None, or as here."""

    url_variables, key_variables, events = [], [], []
    path = key_hint = id_prefix = ""
    name_hint = "Asked for {model!r} at {url}; .models() lists the names that the server knows."

    @property
    def key_names(self) -> str:
        return " or ".join(self.key_variables)

    @property
    def url_names(self) -> str:
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
            raise UnknownName(f"{self.name} has no {found.id} that this course knows of: give the name it has there.")
        return name if "/" in name else self.id_prefix + name

    def _table(self) -> Table:
        rows = [
            ("what it is", self.what),
            ("address", self.base_url or f"yours, in {self.url_names}"),
            ("key", self.key_names or "none needed"),
            ("its errors", self.error_shape),
            (f"status, {self.status_date}", self.status_text),
        ]
        rows += [("key from", self.key_from)] if self.key_from else []
        rows += [(event["date"], f"{event['text']} [{event['grade']}]") for event in self.events]
        return Table(("", ""), rows, f"{self.name} [{self.id}]", wrap=100, source=f"Source: {self.source}")


class Services(Shown, dict):
    """What became of each service and when, with the grade of its source; services()['nvidia'] gives one of them."""

    def __missing__(self, name: str) -> Provider:
        wanted = str(name).strip().lower()
        if wanted not in self:
            raise UnknownName(f"Unknown provider {quoted(name)}. {nearest(wanted, list(self))}. Or give a URL.")
        return self[wanted]

    def _text(self) -> Table:
        heads = ("service", "connect(...)", "status", "as of", "source", "in short")
        rows = [(one.name, one.id, one.status, one.status_date, one.grade, one.status_text) for one in self.values()]
        return Table(heads, rows, wrap=130)

    def _table(self) -> Table:
        note = "read: in the maker's own text; secondary: in someone else's; memory: check before you rely on it."
        return replace(self._text(), caption="The services of this course", note=note)


@cache
def services() -> Services:
    """Every service by its id, in the order of data/providers.toml; upper and lower case are the same."""
    tables = tomllib.loads((DATA / "providers.toml").read_text(encoding="utf-8"))
    return Services({name: Provider(id=name, **table) for name, table in tables.items()})


def key_of(who: Provider):
    """The key in the first variable of this provider that is set. No other provider's variables are looked at."""
    given = [name for name in who.key_variables if os.environ.get(name, "").strip()]
    return as_key(os.environ[given[0]], given[0]) if given else None


def as_key(text: str, place: str = "key"):
    """A SecretStr without the blanks around it, refused when it can't go into a header; the message doesn't show it."""
    from pydantic import SecretStr  # here: pydantic costs a lesson's first cell 0.2 s

    key = (text.get_secret_value() if isinstance(text, SecretStr) else text).strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise BadRequest(f"{place} holds a blank or a letter that no key has. Copy the key again; it isn't shown here.")
    return SecretStr(key)

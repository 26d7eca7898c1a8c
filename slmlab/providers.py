"""The services that answer over a network: what each is, how it is reached, what became of it, and keys kept unseen.

Reads data/providers.toml and the environment; checks addresses and keys. Knows nothing about connections or SDKs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

from slmlab.catalog import DATA, as_record, card, cards, read_toml
from slmlab.errors import BadRequest, SlmLabError, UnknownName, nearest, quoted
from slmlab.model_card import GRADES, Card
from slmlab.show import html_table, text_table

STATUSES = ("live", "retired", "self-hosted")
IMAGE_FORMS = ("parts", "img-tag")


class Key(str):
    """A key that doesn't show itself: printed or logged it is Key(...). .reveal() gives its text, and so does an
    f-string, with which every SDK writes its headers."""

    __slots__ = ()

    def __new__(cls, text: str):
        return super().__new__(cls, str.__str__(text))  # of a key its text, not what it shows

    def reveal(self) -> str:
        return str.__str__(self)

    def __repr__(self):
        return "Key(...)"

    __str__ = __repr__

    def __format__(self, spec):
        return format(str.__str__(self), spec)


@dataclass(frozen=True)
class Event:
    """Something that happened to a service, when, and how well that was checked."""

    date: date
    text: str
    grade: str
    source: str


@dataclass(frozen=True, repr=False)
class Provider:
    """One service: how it is reached, what it calls models, what its errors look like, and what became of it."""

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
    url_variables: tuple[str, ...] = ()
    url_example: str | None = None
    path: str = ""
    key_variables: tuple[str, ...] = ()
    key_from: str | None = None
    ids_field: str | None = None
    id_prefix: str = ""
    image_form: str = "parts"
    image_characters: int | None = None
    sdk: str = "openai"
    plain_http: bool = False
    practice: str | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)

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
        found = _known(model)
        if found is None:
            return model.strip()
        if self.ids_field is None:
            return found.id if isinstance(model, Card) else model.strip()
        name = getattr(found.ids, self.ids_field)
        if name is None:
            offered = [one.id for one in cards().values() if getattr(one.ids, self.ids_field)]
            raise UnknownName(f"{self.name} has no {found.id} that this course knows of. {nearest(found.id, offered)}.")
        return name if "/" in name else self.id_prefix + name

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("what it is", self.what),
            ("address", self.base_url or f"yours, in {self.url_names}"),
            ("key", self.key_names or "none needed"),
            ("its errors", self.error_shape),
            (f"status, {self.status_date}", self.status_text),
        ]
        rows += [("key from", self.key_from)] if self.key_from else []
        return rows + [(str(one.date), f"{one.text} [{one.grade}]") for one in self.events]

    def __str__(self):
        return f"{self.name} [{self.id}]\n{text_table(('', ''), self._rows(), wrap=100)}"

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(("", ""), self._rows(), f"{self.name} [{self.id}]", f"Source: {self.source}")


@dataclass(frozen=True)
class StatusTable:
    """What became of each service and when: newest knowledge of this course, with the grade of its source."""

    providers: tuple[Provider, ...]

    def __getitem__(self, name: str) -> Provider:
        return provider(name)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (one.name, one.id, one.status, str(one.status_date), one.grade, one.status_text) for one in self.providers
        ]

    def __str__(self):
        return text_table(_HEADS, self._rows(), wrap=130)

    __repr__ = __str__

    def _repr_html_(self):
        note = "read: in the maker's own text; secondary: in someone else's; memory: check before you rely on it."
        return html_table(_HEADS, self._rows(), "The services of this course", note)


_HEADS = ("service", "connect(...)", "status", "as of", "source", "in short")


def providers() -> dict[str, Provider]:
    """Every service by its id, in the order of data/providers.toml."""
    return dict(_read(DATA / "providers.toml"))


def provider(name: str | Provider) -> Provider:
    """The service of that id; upper and lower case are the same."""
    if isinstance(name, Provider):
        return name
    if not isinstance(name, str):
        raise BadRequest(f"A provider's name is text, such as 'nvidia', not {name!r}.")
    known, wanted = providers(), name.strip().lower()
    if wanted not in known:
        raise UnknownName(
            f"Unknown provider {quoted(name)}. {nearest(wanted, list(known))}. Or give a URL: 'https://...'."
        )
    return known[wanted]


def services() -> StatusTable:
    """What became of each service, as a table."""
    return StatusTable(tuple(providers().values()))


def key_of(which: str | Provider, environment: Mapping[str, str] = os.environ) -> Key | None:
    """The key in the first variable of this provider that is set. No other provider's variables are looked at."""
    for variable in provider(which).key_variables:
        if environment.get(variable, "").strip():
            return as_key(environment[variable], variable)
    return None


def as_key(text: str, place: str = "key") -> Key:
    """A key without the blanks around it, refused when it can't go into a header; the message doesn't show it."""
    if not isinstance(text, str):
        raise BadRequest(f"{place} should be text, not {type(text).__name__}.")
    key = Key(str.__str__(text).strip())
    if not key.isascii() or not all("!" <= letter <= "~" for letter in key):
        raise BadRequest(f"{place} holds a blank or a letter that no key has. Copy the key again; it isn't shown here.")
    return key


def _known(model: str | Card) -> Card | None:
    try:
        return card(model)
    except UnknownName:
        return None


@cache
def _read(path: Path) -> dict[str, Provider]:
    found = {}
    for name, table in read_toml(path).items():
        found[name] = one = as_record(Provider, {"id": name, **table}, f"{path.name}: {name!r}")
        for value, allowed in (
            (one.status, STATUSES),
            (one.image_form, IMAGE_FORMS),
            *((event.grade, GRADES) for event in one.events),
        ):
            if value not in allowed:
                raise SlmLabError(f"{path.name}: {name!r}: {value!r} should be one of {', '.join(allowed)}.")
    return found

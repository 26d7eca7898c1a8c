"""connect(where, model): a model that a service runs, used as one that load() gives.

The top of the road over a network: provider, address, key, engine. A key comes from its own provider's variables only.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slmlab.catalog import DATA, GRADES, Card, Facts, as_record, card, cards, read_toml
from slmlab.errors import BadRequest, NotHere, ProviderError, SlmLabError, UnknownName, nearest, quoted
from slmlab.show import html_table, text_table

if TYPE_CHECKING:
    from slmlab.engines.remote import RemoteEngine


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this very machine; a name that only begins like an address does not."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """The same for a host alone: a name, or an address with or without its brackets."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_url(text: str, key: str | None = None, *, plain_http: bool = False) -> str:
    """A URL that may be asked, and that this key may be sent to; else a refusal that doesn't repeat a password."""
    if not isinstance(text, str):
        raise BadRequest(f"A URL is text, not {type(text).__name__}.")
    text = text.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise BadRequest("This isn't a URL that can be asked: http:// or https://, a host, no blanks.")
    if parts.username is not None or parts.password is not None:
        raise BadRequest("A URL holds no user and no password: leave them out and give key=...")
    if parts.path.endswith("/completions"):
        base = text.removesuffix("/completions").removesuffix("/chat")
        raise BadRequest(f"The base URL of a service ends before /chat/completions: {base}")
    if parts.query or parts.fragment:
        raise BadRequest("The base URL of a service ends before ? and #: leave them out.")
    if key and parts.scheme == "http" and not is_loopback(text) and not plain_http:
        raise BadRequest(f"http to {parts.hostname} would show the key to every machine on the way: use https.")
    return text


class Unredirected(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: a key is for the address that was named."""

    def redirect_request(self, *_):
        return None


def text_at(url: str, key: Key | None = None) -> str:
    """What GET answers at a URL, or an OSError. No proxy stands between us and this machine."""
    straight = [urllib.request.ProxyHandler({})] if is_loopback(url) else []
    opener = urllib.request.build_opener(Unredirected, *straight)
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.read().decode("utf-8", "replace")
    except HTTPException as fault:
        raise OSError(f"{type(fault).__name__}: {fault}") from None


def read_at(base: str, path: str, key: Key | None = None) -> str:
    """The same for a path under an address; what hinders it is told with the whole URL."""
    url = f"{base}/{path.lstrip('/')}"
    try:
        return text_at(url, key)
    except OSError as fault:
        raise ProviderError(f"{url} can't be read: {fault}") from None


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


@dataclass(frozen=True)
class Endpoint:
    """Where a provider answers: its address and key. Not `live` means that it is a practice server on this machine."""

    provider: Provider
    url: str
    key: Key | None = None
    live: bool = True
    server: object = None

    def exchange(self, lines: int = 8):
        """What went over the wire last: a practice server shows it, a live service can't."""
        if self.server is None:
            raise BadRequest(f"{self.provider.name} is live: only a practice server shows what it was sent.")
        return self.server.exchange(lines)

    def read(self, path: str) -> str:
        """The text at a path under the address, such as '/models' or, on a server of one's own, '/metrics'."""
        return read_at(self.url, path, self.key)

    def __repr__(self):
        return f"Endpoint({self.provider.name} at {self.url}, {'live' if self.live else 'practice'})"


def placed(where, url: str | None, key: Key | None) -> Endpoint:
    """The provider, address and key of a place, however it was named."""
    named = isinstance(where, Provider) or (isinstance(where, str) and "://" not in where)
    if url is not None and not named:
        raise BadRequest("url=... goes with a provider's name; this place has an address already.")
    if isinstance(where, Endpoint):
        own = key or where.key
        return replace(where, url=checked_url(where.url, own, plain_http=where.provider.plain_http), key=own)
    if hasattr(where, "url") and hasattr(where, "key"):
        own = key or (as_key(where.key) if where.key else None)
        who = _of_profile(getattr(where, "profile", None))
        return Endpoint(who, checked_url(where.url, own), own, live=who.practice is None)
    if isinstance(where, str) and "://" in where:
        address = checked_url(where, key)
        return Endpoint(replace(provider("local"), name=urlsplit(address).netloc, go_to=""), address, key)
    return _of_provider(provider(where), url, key)


def _of_provider(who: Provider, url: str | None, key: Key | None) -> Endpoint:
    if who.status == "retired" and url is None:
        raise ProviderError(
            f"{who.name} was retired on {who.status_date}: {who.status_text}",
            f"{who.go_to} An address of your own that speaks its protocol: connect({who.id!r}, ..., url='http://...').",
            status=410,
        )
    address = _with_path(url or _address(who), who)
    # a key of the environment goes to its own service, never to an address that a line of code happens to name
    own = url is None or urlsplit(address).hostname in _homes(who)
    key = key or (key_of(who) if own else None)
    if key is None and who.key_needed and not is_loopback(address):
        raise NotHere(
            f"{who.name} wants a key and {_why_no_key(who, own)}. Get one: {who.key_from}. "
            f"Without one: slmlab.connect(slmlab.endpoint({who.id!r}), ...) practises on this machine."
        )
    return Endpoint(who, checked_url(address, key, plain_http=who.plain_http), key)


def _homes(who: Provider) -> list[str]:
    """The hosts that a key of the environment may go to: the service's own, and those that the environment names."""
    named = [os.environ.get(variable, "").strip() for variable in who.url_variables]
    known = [one for one in (who.base_url, *named) if one and "://" in one and not is_loopback(one)]
    return [urlsplit(one).hostname for one in known]


def _why_no_key(who: Provider, own: bool) -> str:
    if own or key_of(who) is None:
        return f"{who.key_names} isn't set"
    return f"what is in {who.key_names} goes to no other address than its own: give key=... for this one"


def _address(who: Provider) -> str:
    for variable in who.url_variables:
        if text := os.environ.get(variable, "").strip():
            return _ollama_address(text, who) if variable == "OLLAMA_HOST" else text
    if who.base_url is None:
        example = f", such as {who.url_example}" if who.url_example else ""
        raise BadRequest(
            f"{who.name} has an address of your own: set {who.url_names}, or give url=...{example}. "
            f"Without one: slmlab.endpoint({who.id!r}) practises on this machine."
        )
    return who.base_url


def _ollama_address(text: str, who: Provider) -> str:
    """Ollama's own variable names the place where it listens: a host, a port, or both, read as Ollama reads it."""
    scheme, found, rest = text.strip("\"' ").rpartition("://")
    usual = {"http": 80, "https": 443}[scheme] if found and scheme in ("http", "https") else 11434
    rest = f"[{rest}]" if rest.count(":") > 1 and "[" not in rest else rest
    try:
        parts = urlsplit(f"{scheme or 'http'}://{rest}")
        host, port = parts.hostname or "127.0.0.1", parts.port or usual
    except ValueError:
        raise BadRequest("OLLAMA_HOST holds no host and port, such as 127.0.0.1:11434.") from None
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    login = "".join(parts.netloc.rpartition("@")[:2])  # refused, in its own words, further on
    return f"{scheme or 'http'}://{login}{host}:{port}{parts.path.rstrip('/').removesuffix(who.path)}{who.path}"


def _with_path(address: str, who: Provider) -> str:
    """The address with the path that its provider's protocol stands under, where it names none."""
    parts = urlsplit(checked_url(address, None))
    path = parts.path.rstrip("/")
    instead = f"use {parts.scheme}://{parts.netloc}{who.path} instead."
    if who.id == "foundry" and path == "/models":
        raise BadRequest(f"The path /models was retired on 2026-08-26: {instead}")
    if who.id == "foundry" and path.startswith("/api/projects/"):
        raise BadRequest(f"This is a project's address, which answers no chat: {instead}")
    return address if parts.path.strip("/") else address.rstrip("/") + who.path


def _of_profile(profile: str | None) -> Provider:
    """The provider whose protocol a server of serve() speaks."""
    known = providers()
    return known[profile] if profile in known else known["local"]


SDKS = ("openai",)


def connect(
    where,
    model: str | None = None,
    *,
    sdk: str | None = None,
    url: str | None = None,
    key: str | None = None,
    timeout_s: float = 120,
) -> RemoteEngine:
    """A model that a service runs, used as what load() gives is used.

    `where` is a provider's name ('nvidia'), a URL, an Endpoint or what serve() gives. `model` is a name of the catalog,
    or what the service calls it; None takes the first that it lists.
    """
    key = None if key is None else as_key(key)
    if sdk is not None and sdk not in SDKS:
        raise BadRequest(f"Unknown sdk {quoted(sdk)}. {nearest(str(sdk), list(SDKS))}.")
    if type(timeout_s) not in (int, float) or not 0 < timeout_s <= 3600:
        raise BadRequest(f"timeout_s={timeout_s!r} is out of range: seconds, more than 0 and at most 3600.")
    place = placed(where, url, key)
    engine = _engine(sdk or place.provider.sdk)
    if model is None:
        model = _first_model(engine, place, timeout_s)
    model_id = _model_id(place, model)
    who = place.provider if place.live else replace(place.provider, name=f"{place.provider.name} (practice)")
    return engine(_card(model, model_id), who, place.url, model_id, place.key, timeout_s)


def _model_id(place: Endpoint, model: str | Card) -> str:
    if not isinstance(model, str | Card) or (isinstance(model, str) and not model.strip()):
        raise BadRequest(f"A model's name is text, such as 'phi-4-mini', not {model!r}.")
    found = place.provider.model_id(model)
    old_github = place.provider.id == "github-models" and not place.url.endswith("/inference")
    return found.split("/")[-1] if old_github else found  # its older address knew names without their publisher


def _first_model(engine: type[RemoteEngine], place: Endpoint, timeout_s: float) -> str:
    asking = engine(_card("models", "models"), place.provider, place.url, "", place.key, timeout_s)
    with asking:
        names = asking.models()
    if not names:
        raise ProviderError(
            f"{place.provider.name} at {place.url} lists no model: name one, connect(..., 'phi-4-mini')."
        )
    return names[0]


def _card(model: str | Card, model_id: str) -> Card:
    """The catalog's card of a model, or a bare one for a name that only the service knows."""
    for name in (model, model_id):
        try:
            return card(name)
        except UnknownName:
            continue
    facts = {"maker": "unknown", "family": "unknown", "kind": "text", "licence": "ask the service"}
    return Card(model_id, model_id, **facts, published=Facts(as_stated="not stated"))


def _engine(sdk: str) -> type[RemoteEngine]:
    from slmlab.engines.remote import OpenAIEngine

    return OpenAIEngine

"""connect(where, model): a model that a service runs, used as one that load() gives; and the services as data.

Decides which address is asked and which key may go there: a service's own key to its own host, over https or loopback.
"""

import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from slmlab.catalog import DATA, Card, Facts, card
from slmlab.errors import BadRequest, NotHere, ProviderError, UnknownName, nearest
from slmlab.show import Shown, Table


class Provider(Shown, Facts):
    """One service; data/providers.toml says what each field means. What it doesn't say is None, or as here."""

    url_variables, key_variables, models, events = [], [], [], []
    path = key_hint = key_from = id_prefix = key_names = url_names = ""
    name_hint = "Asked for {model!r} at {url}; .models() lists the names that the server knows."

    def model_id(self, model: str | Card) -> str:
        """What a model is called here. A name that the catalog doesn't know is taken as it stands."""
        found = known_card(model)
        if self.ids_field is None or found is None:
            return model.id if isinstance(model, Card) else model
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
        more = [("key from", self.key_from), (f"models, {self.models_date}", ", ".join(self.models))]
        rows += [row for row in more if row[1]]
        rows += [(event["date"], f"{event['text']} [{event['grade']}]") for event in self.events]
        return Table(("", ""), rows, f"{self.name} [{self.id}]", wrap=100, source=f"Source: {self.source}")


class Services(Shown, dict):
    """What became of each service and when, with the grade of its source; services()['nvidia'] gives one of them."""

    def __missing__(self, name: str) -> Provider:
        wanted = str(name).strip().lower()
        if wanted not in self:
            raise UnknownName(f"No such service. {nearest(wanted, list(self))}. Or give a URL.")  # it may be a key
        return self[wanted]

    def _table(self) -> Table:
        heads = ("service", "connect(...)", "variables", "cost", "ask for", "status", "key from")
        rows = []
        for one in self.values():
            to_set = [*one.url_variables[: one.base_url is None], *one.key_variables[:1]]
            rows.append((one.name, one.id, ", ".join(to_set), one.cost, one.ask_for or one.models[0],
                         f"{one.status}, {one.status_date}", one.key_from.split(" ")[0]))  # fmt: skip
        return Table(heads, rows, "The services of this course", "More, with sources: slmlab.services()['nvidia']")


@cache
def services() -> Services:
    """Every service by its id, in the order of data/providers.toml; upper and lower case are the same."""
    found = Services()
    for name, table in tomllib.loads((DATA / "providers.toml").read_text(encoding="utf-8")).items():
        names = {f"{kind}_names": " or ".join(table.get(f"{kind}_variables", [])) for kind in ("key", "url")}
        found[name] = Provider(id=name, **names, **table)
    return found


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


def is_loopback(place: str) -> bool:
    """Whether a URL or a host is this very machine; a name that only begins like an address is not."""
    host = urlsplit(place).hostname or "" if "://" in place else place.strip("[]")
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower() == "localhost"


def checked_url(text: str, who: Provider, key=None) -> str:
    """A URL that this key may be sent to, with its provider's path. A refusal repeats none: it may hold a password."""
    url = text.strip().rstrip("/")
    if not re.fullmatch(r"(?i)https?://(\[[\da-f:.]+\]|[\w-]+(\.[\w-]+)*\.?)(:\d{1,5})?(/[^@?#\s]*)?", url):
        raise BadRequest("This is no base URL: http:// or https:// and a host, without a blank, a password, ? or #.")
    parts = urlsplit(url)
    if key and parts.scheme == "http" and not is_loopback(url):
        raise BadRequest(f"http to {parts.hostname} would show the key to every machine on the way: use https.")
    if who.id == "foundry" and parts.path == "/models":
        raise BadRequest(f"The path /models was retired on 2026-08-26: use {url[:-7]}{who.path} instead.")
    return url if parts.path else url + who.path


def read_at(base: str, path: str, key=None) -> str:
    """The text at a path under an address. No proxy stands between us and this machine."""
    import httpx  # the openai package brings it, and it sends no key on to another address

    url = f"{base}/{path.lstrip('/')}"
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    options = {"headers": headers, "timeout": 10, "trust_env": not is_loopback(url), "follow_redirects": True}
    try:
        return httpx.get(url, **options).raise_for_status().text
    except httpx.HTTPError as fault:
        raise ProviderError(f"{url} can't be read: {fault}") from None


@dataclass(frozen=True)
class Endpoint:
    """Where a provider answers: its address and key. Not `live` means that it is a practice server on this machine."""

    provider: Provider
    url: str
    key: object = None  # a SecretStr
    live: bool = True
    server: object = None

    def exchange(self, lines: int | None = None):
        """What went over the wire last: a practice server shows it, a live service can't, and a sentence says so."""
        if self.server is None:
            return f"{self.provider.name} is live: only a practice server shows what it was sent."
        return self.server.exchange(lines)

    def read(self, path: str) -> str:
        """The text at a path under the address, such as '/models' or, on a server of one's own, '/metrics'."""
        return read_at(self.url, path, self.key)

    def __repr__(self):
        return f"Endpoint({self.provider.name} at {self.url}, {'live' if self.live else 'practice'})"


def placed(where, url: str | None = None, key=None) -> Endpoint:
    """The provider, address and key that `where` names: a provider, a URL, an Endpoint or what serve() gives."""
    own = services()["local"]
    if isinstance(where, str) and "://" not in where:
        where = _of_provider(services()[where], url, key)
    elif url is not None:
        raise BadRequest("url=... goes with a provider's name; this place has an address already.")
    elif isinstance(where, str):
        where = Endpoint(Provider(**vars(own) | {"name": where.split("/")[2], "go_to": ""}), where)
    elif not isinstance(where, Endpoint):
        who = services().get(where.profile, own)
        where = Endpoint(who, where.url, where.key, live=who.practice is None)
    key = key or where.key
    return replace(where, url=checked_url(where.url, where.provider, key), key=key)


def _of_provider(who: Provider, url: str | None, key) -> Endpoint:
    if who.status == "retired" and url is None:
        raise ProviderError(f"{who.name} was retired on {who.status_date}: {who.status_text}", who.go_to, status=410)
    given = [os.environ[name].strip() for name in who.url_variables if os.environ.get(name, "").strip()]
    address = url or (given[0] if given else who.base_url)
    if address is None:
        raise BadRequest(f"{who.name} has an address of your own: set {who.url_names}, or give url='...'.")
    if "://" not in address:  # Ollama's own variable holds a host, and a port where it isn't the usual one
        address = f"http://{address}" if ":" in address else f"http://{address}:11434"
    # a key of the environment goes to its own service, never to an address that a line of code happens to name
    key = key or (key_of(who) if url is None else None)
    if key is None and who.key_needed and not is_loopback(address):
        raise NotHere(
            f"{who.name} wants a key: set {who.key_names}, which goes to its own address alone, or give key='...'. "
            f"Get one: {who.key_from}. Without one: slmlab.connect(endpoint.practise({who.id!r}), ...) practises here."
        )
    return Endpoint(who, address, key)


def connect(where, model: str | None = None, *, url: str | None = None, key: str | None = None, timeout_s: float = 120,
            img_tags: bool = False):  # fmt: skip
    """A model that a service runs. `where` is a provider's name ('nvidia'), a URL, an Endpoint or what serve() gives.
    `model` is a name of the catalog, or what the service calls it; None takes one that services() names, else the first
    that it lists. `img_tags` writes pictures into the text, as <img>: the form of NVIDIA's older models."""
    from slmlab.engines.remote import RemoteEngine

    place = placed(where, url, None if key is None else as_key(key))
    who = place.provider
    name = who.name if place.live else f"{who.name} (practice)"
    who = Provider(**vars(who) | {"name": name, "img_tags": img_tags})

    def opened(model: str | Card) -> RemoteEngine:
        bare = Card(model, model, "unknown", "unknown", "text", "ask the service", Facts(as_stated="not stated"))
        return RemoteEngine(known_card(model) or bare, who, place.url, who.model_id(model), place.key, timeout_s)

    if model:
        return opened(model)
    with opened("models") as asking:
        listed = asking.models()
    wanted = who.models if place.url == who.base_url else []  # another server of its protocol has models of its own
    found = [one for one in wanted if one in listed]
    if wanted and not found:
        print(f"{who.name} no longer lists {' or '.join(wanted)} ({who.models_date}): {listed[0]} is asked instead.")
    return opened((found or listed)[0])


def known_card(model: str | Card) -> Card | None:
    """The catalog's card of a model, or None where only the service knows the name."""
    with suppress(UnknownName):
        return card(model)

"""connect(where, model): a model that a service runs, used as one that load() gives.

Decides which address is asked and which key may go there: a service's own key to its own host, over https or loopback.
"""

import os
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from slmlab.catalog import Card, Facts, card
from slmlab.errors import BadRequest, NotHere, ProviderError, UnknownName
from slmlab.providers import Provider, as_key, key_of, services


def is_loopback(place: str) -> bool:
    """Whether a URL or a host is this very machine; a name that only begins like an address is not."""
    host = urlsplit(place).hostname or "" if "://" in place else place.strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_url(text: str, who: Provider, key=None) -> str:
    """A URL that this key may be sent to, with its provider's path. A refusal repeats none: it may hold a password."""
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(one in url for one in " @?#"):
        raise BadRequest("This is no base URL: http:// or https:// and a host, without a blank, a password, ? or #.")
    if key and parts.scheme == "http" and not is_loopback(url):
        raise BadRequest(f"http to {parts.hostname} would show the key to every machine on the way: use https.")
    if who.id == "foundry" and parts.path == "/models":
        instead = url.removesuffix("/models") + who.path
        raise BadRequest(f"The path /models was retired on 2026-08-26: use {instead} instead.")
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


def placed(where, url: str | None = None, key=None) -> Endpoint:
    """The provider, address and key that `where` names: a provider, a URL, an Endpoint or what serve() gives."""
    if isinstance(where, str) and "://" not in where:
        return _of_provider(services()[where], url, key)
    if url is not None:
        raise BadRequest("url=... goes with a provider's name; this place has an address already.")
    who = services()["local"]
    if isinstance(where, str):
        where = Endpoint(Provider(**vars(who) | {"name": urlsplit(where).netloc, "go_to": ""}), where)
    elif not isinstance(where, Endpoint):
        who = services().get(where.profile, who)
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
    address = checked_url(address, who, key)
    if key is None and who.key_needed and not is_loopback(address):
        raise NotHere(
            f"{who.name} wants a key: set {who.key_names}, which goes to its own address alone, or give key='...'. "
            f"Get one: {who.key_from}. Without one: slmlab.connect(endpoint.practise({who.id!r}), ...) practises here."
        )
    return Endpoint(who, address, key)


def connect(where, model: str | None = None, *, url: str | None = None, key: str | None = None, timeout_s: float = 120):
    """A model that a service runs. `where` is a provider's name ('nvidia'), a URL, an Endpoint or what serve() gives.

    `model` is a name of the catalog, or what the service calls it; None takes the first that it lists."""
    from slmlab.engines.remote import RemoteEngine

    place = placed(where, url, None if key is None else as_key(key))
    if not model:
        with RemoteEngine(_card("models"), place.provider, place.url, "", place.key, timeout_s) as asking:
            model = asking.models()[0]
    who = place.provider
    if not place.live:
        who = Provider(**vars(who) | {"name": f"{who.name} (practice)"})
    return RemoteEngine(_card(model), who, place.url, who.model_id(model), place.key, timeout_s)


def _card(model: str | Card) -> Card:
    """The catalog's card of a model, or a bare one for a name that only the service knows."""
    try:
        return card(model)
    except UnknownName:
        return Card(model, model, "unknown", "unknown", "text", "ask the service", Facts(as_stated="not stated"))

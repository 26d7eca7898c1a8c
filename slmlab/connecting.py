"""connect(where, model): a model that a service runs, used as one that load() gives.

Decides which address is asked and which key may go there: a service's own key to its own host, over https or loopback.
"""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass, replace
from http.client import HTTPException
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slmlab.catalog import Card, Facts, card
from slmlab.errors import BadRequest, NotHere, ProviderError, UnknownName
from slmlab.providers import Provider, as_key, key_of, provider, providers

if TYPE_CHECKING:
    from pydantic import SecretStr

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


def checked_url(text: str, key: SecretStr | None = None) -> str:
    """A URL that may be asked, and that this key may be sent to. A refusal doesn't repeat what may hold a password."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or any(one in url for one in " \n@?#"):
        raise BadRequest("This is no base URL: http:// or https:// and a host, without a blank, a password, ? or #.")
    if url.endswith("/completions"):
        base = url.removesuffix("/completions").removesuffix("/chat")
        raise BadRequest(f"The base URL of a service ends before /chat/completions: {base}")
    if key and parts.scheme == "http" and not is_loopback(url):
        raise BadRequest(f"http to {parts.hostname} would show the key to every machine on the way: use https.")
    return url


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a key is for the address that was named


def read_at(base: str, path: str, key: SecretStr | None = None) -> str:
    """The text at a path under an address. No proxy stands between us and this machine."""
    url = f"{base}/{path.lstrip('/')}"
    straight = [urllib.request.ProxyHandler({})] if is_loopback(url) else []
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(_NoRedirect, *straight).open(request, timeout=10) as answer:
            return answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as fault:
        raise ProviderError(f"{url} can't be read: {fault}") from None


@dataclass(frozen=True)
class Endpoint:
    """Where a provider answers: its address and key. Not `live` means that it is a practice server on this machine."""

    provider: Provider
    url: str
    key: SecretStr | None = None
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


def placed(where, url: str | None, key: SecretStr | None) -> Endpoint:
    """The provider, address and key that `where` names: a provider, a URL, an Endpoint or what serve() gives."""
    is_url = isinstance(where, str) and "://" in where
    if not is_url and not hasattr(where, "url"):
        return _of_provider(provider(where), url, key)
    if url is not None:
        raise BadRequest("url=... goes with a provider's name; this place has an address already.")
    if is_url:
        address = checked_url(where, key)
        return Endpoint(replace(provider("local"), name=urlsplit(address).netloc, go_to=""), address, key)
    key = key or where.key
    if not isinstance(where, Endpoint):
        who = providers().get(where.profile, provider("local"))
        where = Endpoint(who, where.url, live=who.practice is None)
    return replace(where, url=checked_url(where.url, key), key=key)


def _of_provider(who: Provider, url: str | None, key: SecretStr | None) -> Endpoint:
    if who.status == "retired" and url is None:
        raise ProviderError(
            f"{who.name} was retired on {who.status_date}: {who.status_text}",
            f"{who.go_to} An address of your own that speaks its protocol: connect({who.id!r}, ..., url='http://...').",
            status=410,
        )
    address = _with_path(url or _address(who), who)
    # a key of the environment goes to its own service, never to an address that a line of code happens to name
    key = key or (key_of(who) if url is None else None)
    if key is None and who.key_needed and not is_loopback(address):
        why = f"{who.key_names} isn't set"
        if key_of(who):
            why = f"what is in {who.key_names} goes to no other address than its own: give key=... for this one"
        raise NotHere(
            f"{who.name} wants a key and {why}. Get one: {who.key_from}. "
            f"Without one: slmlab.connect(endpoint.practise({who.id!r}), ...) practises on this machine."
        )
    return Endpoint(who, checked_url(address, key), key)


def _address(who: Provider) -> str:
    for variable in who.url_variables:
        if text := os.environ.get(variable, "").strip():
            return _ollama_url(text) if variable == "OLLAMA_HOST" else text
    if who.base_url is None:
        example = f", such as {who.url_example}" if who.url_example else ""
        raise BadRequest(
            f"{who.name} has an address of your own: set {who.url_names}, or give url=...{example}. "
            f"Without one: endpoint.practise({who.id!r}) practises on this machine."
        )
    return who.base_url


def _ollama_url(text: str) -> str:
    """The URL in Ollama's own variable, which holds a host, a port or both; at 0.0.0.0 a server listens everywhere."""
    scheme, found, rest = text.rpartition("://")
    parts = urlsplit(f"{scheme or 'http'}://{rest}")
    host = rest.removesuffix(parts.path).removesuffix(f":{parts.port}").replace("0.0.0.0", "") or "127.0.0.1"
    usual = {"http": 80, "https": 443}[parts.scheme] if found else 11434
    root = f"{parts.scheme}://{host}:{parts.port or usual}{parts.path}".rstrip("/")
    return root.removesuffix("/v1") + "/v1"


def _with_path(url: str, who: Provider) -> str:
    """The address with the path that its provider's protocol stands under, where it names none."""
    parts = urlsplit(checked_url(url))
    instead = f"use {parts.scheme}://{parts.netloc}{who.path} instead."
    if who.id == "foundry" and parts.path == "/models":
        raise BadRequest(f"The path /models was retired on 2026-08-26: {instead}")
    if who.id == "foundry" and parts.path.startswith("/api/projects/"):
        raise BadRequest(f"This is a project's address, which answers no chat: {instead}")
    return url if parts.path.strip("/") else url.rstrip("/") + who.path


def connect(
    where, model: str | None = None, *, url: str | None = None, key: str | None = None, timeout_s: float = 120
) -> RemoteEngine:
    """A model that a service runs, used as what load() gives is used.

    `where` is a provider's name ('nvidia'), a URL, an Endpoint or what serve() gives. `model` is a name of the catalog,
    or what the service calls it; None takes the first that it lists.
    """
    from slmlab.engines.remote import RemoteEngine

    place = placed(where, url, None if key is None else as_key(key))
    if not model:
        with RemoteEngine(_card("models"), place.provider, place.url, "", place.key, timeout_s) as asking:
            names = asking.models()
        if not names:
            raise ProviderError(f"{place.url} lists no model: name one, connect(..., 'phi-4-mini').")
        model = names[0]
    who = place.provider if place.live else replace(place.provider, name=f"{place.provider.name} (practice)")
    model_id = who.model_id(model)
    return RemoteEngine(_card(model, model_id), who, place.url, model_id, place.key, timeout_s)


def _card(*names: str | Card) -> Card:
    """The catalog's card of a model, or a bare one for a name that only the service knows."""
    for name in names:
        try:
            return card(name)
        except UnknownName:
            continue
    facts = {"maker": "unknown", "family": "unknown", "kind": "text", "licence": "ask the service"}
    return Card(names[-1], names[-1], **facts, published=Facts(as_stated="not stated"))

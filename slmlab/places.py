"""Where a service answers: its address and key, however the place was named. An Endpoint is one such place.

Reads the environment's addresses; decides which of its keys may go where. Knows nothing about SDKs or models.
"""

import os
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from slmlab.addresses import checked_url, is_loopback
from slmlab.errors import BadRequest, MissingKey, ProviderError
from slmlab.providers import Key, Provider, as_key, key_of, provider, providers
from slmlab.reading import read_at


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
        raise MissingKey(
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

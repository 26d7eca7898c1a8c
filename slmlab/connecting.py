"""connect(where, model): a model that a service runs, and endpoint(name): the live service, or one to practise on.

The top of the road over a network: provider, address, key, engine. A key comes from its own provider's variables only.
"""

import os
import socket
import threading
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from slmlab.addresses import checked_url, is_loopback
from slmlab.catalog import card
from slmlab.engines.remote import RemoteEngine
from slmlab.errors import BadRequest, MissingKey, ProviderError, UnknownName, nearest
from slmlab.model_card import Card, Published
from slmlab.providers import Key, Provider, as_key, key_of, provider, providers

SDKS = ("openai", "azure")
_practice_servers: dict[str, object] = {}
_starting = threading.Lock()


@dataclass(frozen=True)
class Endpoint:
    """Where a provider answers: its address and key. Not `live` means that it is a practice server on this machine."""

    provider: Provider
    url: str
    key: Key | None = None
    live: bool = True
    models: tuple[str, ...] = ()
    server: object = None

    def exchange(self, lines: int = 8):
        """What went over the wire last: a practice server shows it, a live service can't."""
        if self.server is None:
            raise BadRequest(f"{self.provider.name} is live: only a practice server shows what it was sent.")
        return self.server.exchange(lines)

    def __repr__(self):
        return f"Endpoint({self.provider.name} at {self.url}, {'live' if self.live else 'practice'})"


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
    or what the service calls it; None takes the first that it lists. `sdk` is 'openai' or 'azure'.
    """
    key = None if key is None else as_key(key)
    if sdk is not None and sdk not in SDKS:
        raise BadRequest(f"Unknown sdk {sdk!r}. {nearest(str(sdk), list(SDKS))}.")
    if type(timeout_s) not in (int, float) or not 0 < timeout_s <= 3600:
        raise BadRequest(f"timeout_s={timeout_s!r} is out of range: seconds, more than 0 and at most 3600.")
    place = _placed(where, url, key)
    engine = _engine(sdk or place.provider.sdk)
    if model is None:
        model = _first_model(engine, place, timeout_s)
    model_id = _model_id(place, model)
    who = place.provider if place.live else replace(place.provider, name=f"{place.provider.name} (practice)")
    return engine(_card(model, model_id), who, place.url, model_id, place.key, timeout_s)


def endpoint(name: str, *, practice: bool | None = None) -> Endpoint:
    """The live service where its key is set and it still exists; else a practice server on this machine.

    One line says which and why. `practice` True or False decides it by hand.
    """
    who = provider(name)
    why = "practice=True" if practice else _why_practice(who) if practice is None else None
    if why is None:
        live = _placed(who.id, None, None)
        print(f"{who.name}, live at {live.url}.")
        return live
    server = _practice_server(who.practice or "local")
    protocol = f"the protocol of {who.name[0].lower() + who.name[1:] if who.name.startswith('A ') else who.name}"
    protocol = protocol if who.practice else "OpenAI's protocol"
    print(f"{why}: a practice server at {server.url} speaks {protocol}; its answers come from {server.model}.")
    return Endpoint(who, server.url, server.key, live=False, server=server)


def _placed(where, url: str | None, key: Key | None) -> Endpoint:
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
            f"{who.name} was retired on {who.status_date}: {who.status_text} {who.go_to} "
            f"An address of your own that speaks its protocol: connect({who.id!r}, ..., url='http://...').", status=410
        )  # fmt: skip
    address = _with_path(url or _address(who), who)
    # a key of the environment goes to its own service, never to an address that a line of code happens to name
    home = urlsplit(who.base_url or address).hostname
    own = url is None or (urlsplit(address).hostname == home and not is_loopback(address))
    key = key or (key_of(who) if own else None)
    if key is None and who.key_needed and not is_loopback(address):
        raise MissingKey(
            f"{who.name} wants a key and {' or '.join(who.key_variables)} isn't set. Get one: {who.key_from}. "
            f"Without one: slmlab.connect(slmlab.endpoint({who.id!r}), ...) practises on this machine."
        )
    return Endpoint(who, checked_url(address, key, plain_http=who.plain_http), key)


def _address(who: Provider) -> str:
    for variable in who.url_variables:
        if text := os.environ.get(variable, "").strip():
            return _ollama_address(text) if variable == "OLLAMA_HOST" else text
    if who.base_url is None:
        example = f", such as {who.url_example}" if who.url_example else ""
        raise BadRequest(
            f"{who.name} has an address of your own: set {' or '.join(who.url_variables)}, or give url=...{example}. "
            f"Without one: slmlab.endpoint({who.id!r}) practises on this machine."
        )
    return who.base_url


def _ollama_address(text: str) -> str:
    """Ollama's own variable names the place where it listens: a host, a port, or both."""
    address = urlsplit(text if "://" in text else f"http://{text}")
    host = "127.0.0.1" if address.hostname in (None, "0.0.0.0", "::") else address.hostname
    return f"{address.scheme}://{f'[{host}]' if ':' in host else host}:{address.port or 11434}{address.path}"


def _with_path(address: str, who: Provider) -> str:
    """The address with the path that its provider's protocol stands under, where it names none."""
    parts = urlsplit(checked_url(address, None))
    if who.id == "foundry" and parts.path.rstrip("/") == "/models":
        raise BadRequest(
            f"The path /models was retired on 2026-08-26: use {parts.scheme}://{parts.netloc}{who.path} instead."
        )
    return address if parts.path.strip("/") else address.rstrip("/") + who.path


def _of_profile(profile: str | None) -> Provider:
    """The provider whose protocol a server of serve() speaks."""
    known = providers()
    return known[profile] if profile in known else known["local"]


def _model_id(place: Endpoint, model: str | Card) -> str:
    if not isinstance(model, str | Card) or (isinstance(model, str) and not model.strip()):
        raise BadRequest(f"A model's name is text, such as 'phi-4-mini', not {model!r}.")
    found = place.provider.model_id(model)
    old_github = place.provider.id == "github-models" and not place.url.endswith("/inference")
    return found.split("/")[-1] if old_github else found  # its older address knew names without their publisher


def _first_model(engine: type[RemoteEngine], place: Endpoint, timeout_s: float) -> str:
    asking = engine(_card("models", "models"), place.provider, place.url, "", place.key, timeout_s)
    with asking:
        names = place.models or asking.models()
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
    return Card(model_id, model_id, **facts, published=Published("not stated"))


def _engine(sdk: str) -> type[RemoteEngine]:
    if sdk == "azure":
        from slmlab.engines.azure import AzureEngine

        return AzureEngine
    from slmlab.engines.openai import OpenAIEngine

    return OpenAIEngine


def _why_practice(who: Provider) -> str | None:
    """Why the live service can't be asked, or None when it can."""
    if who.status == "retired":
        return f"{who.name} was retired on {who.status_date}"
    if who.key_needed and key_of(who) is None:
        return f"{' or '.join(who.key_variables)} isn't set"
    if any(os.environ.get(variable, "").strip() for variable in who.url_variables):
        return None
    if who.base_url is None:
        return f"{' or '.join(who.url_variables)} isn't set"
    if is_loopback(who.base_url) and not _listens(who.base_url):
        return f"Nothing listens at {who.base_url}"
    return None


def _listens(url: str) -> bool:
    try:
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=1):
            return True
    except OSError:
        return False


def _practice_server(profile: str):
    """One server for each profile and process, started when it is first wanted."""
    from slmlab.serving.process import serve

    with _starting:
        server = _practice_servers.get(profile)
        if server is None or not server.is_running:
            server = _practice_servers[profile] = serve(profile=profile, record=True)
        return server

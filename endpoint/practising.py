"""practise(name): a service, live where its key is set and it still exists, else a practice server on this machine."""

import os
import socket
from urllib.parse import urlsplit

from endpoint.start import Server, serve
from slmlab.connecting import Endpoint, is_loopback, placed
from slmlab.providers import Provider, key_of, services

_practice_servers: dict[str, Server] = {}


def practise(name: str, *, practice: bool | None = None) -> Endpoint:
    """One line says which it is and why. `practice` True or False decides it by hand."""
    who = services()[name]
    why = "practice=True" if practice else _why_practice(who) if practice is None else None
    if why is None:
        live = placed(who.id, None, None)
        print(f"{who.name}, live at {live.url}.")
        return live
    server = _practice_server(who.practice or "local")
    protocol = f"the protocol of {who.name.replace('A ', 'a ', 1)}" if who.practice else "OpenAI's protocol"
    print(f"{why}: a practice server at {server.url} speaks {protocol}; its answers come from {server.model}.")
    return Endpoint(who, server.url, server.key, live=False, server=server)


def _why_practice(who: Provider) -> str | None:
    """Why the live service can't be asked, or None when it can."""
    if who.status == "retired":
        return f"{who.name} was retired on {who.status_date}"
    if who.key_needed and key_of(who) is None:
        return f"{who.key_names} isn't set"
    if any(os.environ.get(variable, "").strip() for variable in who.url_variables):
        return None
    if who.base_url is None:
        return f"{who.url_names} isn't set"
    if is_loopback(who.base_url) and not _listens(who.base_url):
        return f"Nothing listens at {who.base_url}"
    return None


def _listens(url: str) -> bool:
    try:
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=1):
            return True
    except OSError:
        return False


def _practice_server(profile: str) -> Server:
    """One server for each profile and process, started when it is first wanted."""
    if profile not in _practice_servers or not _practice_servers[profile].is_running:
        _practice_servers[profile] = serve(profile=profile, record=True)
    return _practice_servers[profile]

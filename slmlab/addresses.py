"""URLs and hosts: which may be asked, which may be sent a key, and which are this very machine.

Pure: nothing is looked up or asked.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from slmlab.errors import BadRequest


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

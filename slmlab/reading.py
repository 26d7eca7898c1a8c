"""The text at a URL, and a key that goes nowhere else: no redirect is followed, no proxy stands before this machine.

For what is looked at beside a model's answers, such as a server's health and figures.
"""

import urllib.request
from http.client import HTTPException

from slmlab.addresses import is_loopback
from slmlab.errors import ProviderError
from slmlab.providers import Key


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

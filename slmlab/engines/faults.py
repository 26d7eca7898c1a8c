"""What can go wrong between here and a service, in one record, read from answers, events and exceptions.

Knows nothing about SDKs: those translate their exceptions to a Fault. Of the environment it reads the proxy alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from slmlab.addresses import is_loopback

LONGEST_WAIT_S = 60.0
LONGEST_TOLD_S = 1e8  # three years: what a service asks beyond is an error of its own
TRIES = 3
_WAIT = re.compile(r"wait (\d+(?:\.\d+)?) ?s", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One failure. `connection`: it may go away by itself. `kind` is 'refused', 'certificate', 'proxy', 'page' or
    empty."""

    message: str
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    connection: bool = False
    kind: str = ""

    @property
    def passing(self) -> bool:
        """Whether another try may help: never after a refusal that is about the request itself."""
        if self.connection:
            return self.kind == ""
        return self.status is not None and (self.status in (408, 429) or self.status >= 500)


class Broken(Exception):
    """A fault that an engine saw by itself, with no exception of its SDK."""

    def __init__(self, fault: Fault):
        super().__init__(fault.kind or "broken")
        self.fault = fault


def fault_of_answer(status: int, headers: Mapping[str, str], text: str) -> Fault:
    """The fault in an answer that is no success, whichever shape the service gives its errors."""
    kind = headers.get("content-type", "")
    if "html" in kind or text.lstrip()[:1] == "<":
        return Fault("a page of HTML came instead of an answer", status, None, _asked_wait_s(headers, ""), kind="page")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    code, message = _code_and_message(body)
    return Fault(message or "no reason given", status, code, _asked_wait_s(headers, message))


def fault_of_event(error) -> Fault:
    """The fault in an error object that came in the middle of a stream."""
    code, message = _code_and_message({"error": error})
    status = int(code) if code and re.fullmatch(r"[1-5]\d\d", code, re.ASCII) else None
    return Fault(message or "an error without a reason", status, code)


def fault_of_chunk(chunk: dict) -> Fault | None:
    """The fault that an event of a stream tells in place of a piece, in any of the shapes that servers give it."""
    if chunk.get("error"):
        return fault_of_event(chunk["error"])
    told = chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("detail")
    return fault_of_event(chunk) if told and not chunk.get("choices") else None


def _code_and_message(body) -> tuple[str | None, str]:
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None, str(body or "").strip()
    inner = body.get("error") or body
    if not isinstance(inner, dict):
        return None, str(inner)
    code = inner.get("code") or inner.get("type")
    message = inner.get("message") or inner.get("detail") or inner.get("title") or inner.get("error")
    message = message if isinstance(message, str) else json.dumps(message or body)
    return (None if code in (None, "about:blank") else str(code)), message


def _asked_wait_s(headers: Mapping[str, str], message: str) -> float | None:
    """The seconds that a service asks to wait: of its headers, else of its words."""
    milliseconds, asked = headers.get("retry-after-ms"), headers.get("retry-after")
    said = _WAIT.search(message)
    for text, unit in ((milliseconds, 0.001), (asked, 1.0), (said and said[1], 1.0)):
        try:
            wait_s = float(text) * unit
        except (TypeError, ValueError):
            continue
        if 0 <= wait_s < LONGEST_TOLD_S:
            return wait_s
    try:
        until = parsedate_to_datetime(asked or "")
        wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, wait_s), LONGEST_TOLD_S)


def fault_of_connection(problem: BaseException, url: str) -> Fault:
    """The fault behind an exception about a connection, read from the causes that it carries."""
    causes = list(_causes(problem))
    words = " ".join(f"{type(one).__name__} {one}" for one in causes)
    if "CERTIFICATE_VERIFY_FAILED" in words or "CertificateError" in words:
        return Fault("its certificate can't be verified", connection=True, kind="certificate")
    refused = any(isinstance(one, ConnectionRefusedError) for one in causes) or "refused" in words
    proxy = proxy_of(url)
    if proxy and ("roxy" in words or refused):
        return Fault(f"the proxy {proxy} refused, or can't be reached", connection=True, kind="proxy")
    if refused:
        here = is_loopback(url)
        return Fault(f"nothing listens at {url}", connection=True, kind="refused" if here else "")
    if "imeout" in words or "timed out" in words:
        return Fault("no answer came in time", connection=True)
    if "gaierror" in words or "NameResolution" in words or "getaddrinfo" in words:
        return Fault(f"the name {urlsplit(url).hostname} can't be found: no network, or no such host", connection=True)
    return Fault("the connection broke", connection=True)


def proxy_of(url: str) -> str:
    """The host and port of the proxy that this machine's settings put before a URL; empty where there is none."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return ""
    proxies = getproxies()
    return (proxies.get(parts.scheme) or proxies.get("all") or "").rpartition("://")[2].rpartition("@")[2].strip("/")


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that it was raised from; libraries keep those in several places."""
    todo, seen = [problem], set()
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        kept = (one.__cause__, one.__context__, getattr(one, "inner_exception", None), getattr(one, "reason", None))
        todo += [*kept, *one.args]

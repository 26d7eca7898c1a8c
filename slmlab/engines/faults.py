"""What can go wrong between here and a service, in one record, and the words for it, with every key scrubbed out.

Pure: knows nothing about SDKs; those translate their exceptions to a Fault.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from slmlab.addresses import is_loopback
from slmlab.errors import ProviderError
from slmlab.providers import Key, Provider

LONGEST_WAIT_S = 60.0
TRIES = 3
_KEYS = re.compile(r"(?:nvapi-|ghp_|gh[osur]_|github_pat_|sk-)[\w*.\-]+|(?<=Bearer )\S+", re.IGNORECASE)
_WAIT = re.compile(r"wait (\d+(?:\.\d+)?) ?s", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One failure. `connection`: it may go away by itself. `kind` is 'refused', 'certificate', 'page' or empty."""

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


@dataclass(frozen=True)
class Place:
    """Whom a request went to: for the words of a fault."""

    provider: Provider
    url: str
    model: str
    key: Key | None

    def scrubbed(self, text: str) -> str:
        """The text without this key and without anything that looks like one, cut to a readable length."""
        if self.key and len(self.key) >= 4:
            text = text.replace(self.key.reveal(), "[key]")
        text = " ".join(_KEYS.sub("[key]", text).split())
        return text if len(text) <= 400 else text[:400] + " ..."


def fault_of_answer(status: int, headers: Mapping[str, str], text: str) -> Fault:
    """The fault in an answer that is no success, whichever shape the service gives its errors."""
    kind = headers.get("content-type", "")
    if "html" in kind or text.lstrip()[:1] == "<":
        return Fault("a page of HTML came instead of an answer", status, None, _asked_wait_s(headers, ""), kind="page")
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    code, message = _code_and_message(body)
    return Fault(message or "no reason given", status, code, _asked_wait_s(headers, message))


def fault_of_event(error) -> Fault:
    """The fault in an error object that came in the middle of a stream."""
    code, message = _code_and_message({"error": error})
    status = int(code) if code and code.isdigit() else None
    return Fault(message or "an error without a reason", status, code)


def _code_and_message(body) -> tuple[str | None, str]:
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None, str(body or "").strip()
    inner = body.get("error", body)
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
        if 0 <= wait_s < 1e8:
            return wait_s
    try:
        until = parsedate_to_datetime(asked or "")
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def fault_of_connection(problem: BaseException, url: str) -> Fault:
    """The fault behind an exception about a connection, read from the causes that it carries."""
    causes = list(_causes(problem))
    words = " ".join(f"{type(one).__name__} {one}" for one in causes)
    if "CERTIFICATE_VERIFY_FAILED" in words or "CertificateError" in words:
        return Fault("its certificate can't be verified", connection=True, kind="certificate")
    if any(isinstance(one, ConnectionRefusedError) for one in causes) or "refused" in words:
        here = is_loopback(url)
        return Fault(f"nothing listens at {url}", connection=True, kind="refused" if here else "")
    if "imeout" in words or "timed out" in words:
        return Fault("no answer came in time", connection=True)
    if "gaierror" in words or "NameResolution" in words or "getaddrinfo" in words:
        return Fault(f"the name {urlsplit(url).hostname} can't be found: no network, or no such host", connection=True)
    return Fault("the connection broke", connection=True)


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


def as_error(fault: Fault, place: Place, tries: int = 1) -> ProviderError:
    """The fault as the exception that a reader sees: what happened, at whom, and what to do next."""
    fault = replace(
        fault, message=place.scrubbed(fault.message).rstrip(". "), code=fault.code and place.scrubbed(fault.code)
    )
    text = f"{place.provider.name}{f' ({fault.status})' if fault.status else ''}: {fault.message}. "
    text += _advice(fault, place, tries)
    return ProviderError(text.strip(), status=fault.status, code=fault.code, retry_after_s=fault.retry_after_s)


def _advice(fault: Fault, place: Place, tries: int) -> str:
    who = place.provider
    if fault.kind == "page":
        return f"A proxy, or a wrong URL? (asked: {place.url})"
    if fault.kind == "refused":
        return f"Start the server, or correct the URL. {who.go_to if who.status != 'retired' else ''}"
    if fault.kind == "certificate":
        return (
            "On a network with a proxy that opens TLS, point SSL_CERT_FILE to its certificate; don't switch checks off."
        )
    if fault.connection:
        return f"Asked {place.url}, {_times(tries)}."
    if fault.code == "content_filter":
        return "The service's content filter refused the prompt: word it differently."
    if fault.status in (408, 429) and (fault.retry_after_s or 0) > LONGEST_WAIT_S:
        return f"A limit is used up: it resets {_when(fault.retry_after_s)}. Until then: another model, or a local one."
    advice = _ADVICE.get(fault.status)
    if advice:
        return advice(place, fault)
    if fault.passing:
        return f"Tried {_times(tries)}. Try again later, or go on locally: slmlab.load()."
    if fault.status and 300 <= fault.status < 400:
        return f"The address has moved, and a key is not sent after it: correct the URL (asked: {place.url})."
    return "The request is at fault, so trying again won't help." if fault.status else ""


def _key_advice(place: Place, fault: Fault) -> str:
    who, variables = place.provider, " or ".join(place.provider.key_variables)
    if place.key is None:
        needed = f"set {variables}, or give key='...'" if variables else "give key='...'"
        return f"No key was sent: {needed}. {f'Keys: {who.key_from}' if who.key_from else ''}"
    hint = _KEY_HINTS.get(who.id, "")
    again = f"Check {variables}; a new one: {who.key_from}" if variables else "Check the key that you gave."
    return f"The key was refused{' for this' if fault.status == 403 else ''}. {hint}{again}"


_KEY_HINTS = {
    "nvidia": "It lacks the scope 'Public API Endpoints', or your account may not call this model. ",
    "github-models": "A fine-grained token needs the permission models:read. ",
    "foundry": "A key belongs to one resource: key and endpoint have to come from the same one. ",
}


def _name_advice(place: Place, fault: Fault) -> str:
    if place.provider.id == "foundry" or fault.code == "DeploymentNotFound":
        return f"Foundry wants the name that you gave your deployment, not the model's; asked for {place.model!r}."
    if place.provider.id == "nvidia" and "for account" in fault.message:
        return f"{place.model!r} isn't there, or not enabled for your account. What is listed: .models()."
    if place.provider.id == "ollama":
        return f"Ollama answers with what it has fetched: ollama pull {place.model}. What it has: .models()."
    return f"Asked for {place.model!r} at {place.url}; .models() lists the names that the server knows."


def _gone_advice(place: Place, fault: Fault) -> str:
    who = place.provider
    date = f" {who.name} was retired on {who.status_date}." if who.status == "retired" else ""
    return f"Gone for good, whatever the message says.{date} {who.go_to}"


_ADVICE = {
    401: _key_advice,
    403: _key_advice,
    404: _name_advice,
    410: _gone_advice,
    413: lambda place, fault: "Shorten the prompt or the conversation, or ask about one part at a time.",
}


def _times(tries: int) -> str:
    return "once" if tries == 1 else f"{tries} times"


def _when(wait_s: float) -> str:
    """A moment by the clock, and how long that is: 'at 05:30 tomorrow, in 14 h 30 min'."""
    now = datetime.now()
    until = now + timedelta(seconds=wait_s)
    days = (until.date() - now.date()).days
    day = "" if days == 0 else " tomorrow" if days == 1 else f" on {until:%Y-%m-%d}"
    hours, minutes = divmod(round(wait_s / 60), 60)
    return f"at {until:%H:%M}{day}, in {f'{hours:,} h ' if hours else ''}{minutes} min"

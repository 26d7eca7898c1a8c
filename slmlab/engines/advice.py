"""The words for a fault: what happened, at whom, and what to do next, with every key scrubbed out.

Pure: knows the services as records, and nothing about SDKs or connections.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from slmlab.engines.faults import LONGEST_WAIT_S, Fault
from slmlab.errors import ProviderError
from slmlab.providers import Key, Provider

_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"  # no letter, or one that belongs to an escape
_KEYS = re.compile(_BEFORE + r"(?:nvapi-|ghp_|gh[osur]_|github_pat_|sk-)[\w*.\-]+|(?<=Bearer )\S+", re.IGNORECASE)


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


def as_error(fault: Fault, place: Place, tries: int = 1) -> ProviderError:
    """The fault as the exception that a reader sees: what happened, at whom, and what to do next."""
    fault = replace(
        fault, message=place.scrubbed(fault.message).rstrip(". "), code=fault.code and place.scrubbed(fault.code)
    )
    text = f"{place.provider.name}{f' ({fault.status})' if fault.status else ''}: {fault.message}."
    return ProviderError(
        text, _advice(fault, place, tries), status=fault.status, code=fault.code, retry_after_s=fault.retry_after_s
    )


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
    if fault.kind == "proxy":
        return "Look at HTTPS_PROXY and ALL_PROXY: the address may be wrong, or want a name and a password."
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
    who, variables = place.provider, place.provider.key_names
    if place.key is None:
        needed = f"set {variables}, or give key='...'" if variables else "give key='...'"
        return f"No key was sent: {needed}. {f'Keys: {who.key_from}' if who.key_from else ''}"
    hint = _KEY_HINTS.get(who.id, "")
    again = f"Check {variables}; a new one: {who.key_from}" if variables else "Check the key that you gave."
    if who.status == "retired":  # no new key is given out
        again = who.go_to
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
    if not urlsplit(place.url).path:
        return f"Asked {place.url}, which names no path: most servers answer under /v1, as in {place.url}/v1"
    return f"Asked for {place.model!r} at {place.url}; .models() lists the names that the server knows."


def _gone_advice(place: Place, fault: Fault) -> str:
    who = place.provider
    name = who.name.removesuffix(" (practice)")
    date = f" {name} was retired on {who.status_date}." if who.status == "retired" else ""
    promised = ", whatever the message says" if "temporar" in fault.message.lower() else ""
    return f"Gone for good{promised}.{date} {who.go_to}"


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

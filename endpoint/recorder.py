"""What went over the wire last: the request as it arrived, without its key, and the beginning of the answer.

So a lesson can show what a client really sends. Knows nothing about profiles.
"""

import re
from dataclasses import dataclass

PATH = "/practice/exchange"  # where a recording server tells it
SHOWN = ("authorization", "api-key", "content-type", "accept", "user-agent", "extra-parameters")
MOST_BYTES = 4000


class Recorder:
    """Keeps the last exchange: `between` goes around an ASGI application's receive and send."""

    def __init__(self):
        self.last: dict = {}

    def between(self, scope, receive, send):
        asked, answered = bytearray(), bytearray()
        query = re.sub("(key=)[^&]*", r"\1(your key)", scope["query_string"].decode("latin-1"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"] + (f"?{query}" if query else "")
        shown = [f"{name}: {_shown(name, headers[name])}" for name in SHOWN if name in headers]
        head = "\n".join([f"{scope['method']} {path}", *shown])
        self.last = exchange = {"head": head, "body": "", "status": "", "answer": ""}

        async def heard():
            message = await receive()
            asked.extend(message.get("body", b"")[: MOST_BYTES - len(asked)])
            exchange["body"] = asked.decode("utf-8", "replace")
            return message

        async def said(message):
            exchange["status"] = message.get("status", exchange["status"])
            answered.extend(message.get("body", b"")[: MOST_BYTES - len(answered)])
            exchange["answer"] = answered.decode("utf-8", "replace")
            await send(message)

        return heard, said


def _shown(name: str, value: str) -> str:
    if name == "user-agent":
        return value.split(" ")[0]  # what follows tells whose machine it is
    if name not in ("authorization", "api-key"):
        return value
    return "Bearer (your key)" if value.lower().startswith("bearer") else "(your key)"


@dataclass(frozen=True)
class Exchange:
    """One request and the beginning of its answer, as text: of the answer, so many lines."""

    parts: dict
    lines: int

    def __str__(self):
        parts = self.parts
        if not parts:
            return "Nothing was asked yet."
        answer = [line for line in parts["answer"].split("\n") if line]
        shown = [line if len(line) <= 160 else f"{line[:60]} ... {line[-95:]}" for line in answer[: self.lines]]
        if self.lines and (left := len(answer) - self.lines) > 0:
            shown.append(f"... and {left} more {'line' if left == 1 else 'lines'}")
        return "\n".join([parts["head"], "", parts["body"], "", str(parts["status"]), *shown])

    __repr__ = __str__

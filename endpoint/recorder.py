"""What went over the wire last: the request as it arrived, without its key, and the beginning of the answer.

So a lesson can show what a client really sends. Knows nothing about profiles.
"""

import re
from dataclasses import dataclass

PATH = "/practice/exchange"  # where a recording server tells it
SHOWN = ("authorization", "api-key", "content-type", "accept", "user-agent", "extra-parameters")
MOST_BYTES = 4000


class Passage:
    """A request and its answer while they pass: `receive` and `send` of an ASGI application, with an ear to them."""

    def __init__(self, scope, receive, send):
        self._scope, self._receive, self._send = scope, receive, send
        self._asked, self._answered = bytearray(), bytearray()
        self.status = 499  # unless an answer begins, the client has gone before

    async def receive(self) -> dict:
        message = await self._receive()
        self._asked += message.get("body", b"")[: MOST_BYTES - len(self._asked)]
        return message

    async def send(self, message: dict) -> None:
        self.status = message.get("status", self.status)
        self._answered += message.get("body", b"")[: MOST_BYTES - len(self._answered)]
        await self._send(message)

    def parts(self) -> dict:
        query = re.sub("(key=)[^&]*", r"\1(your key)", self._scope["query_string"].decode("latin-1"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._scope["headers"]}
        shown = [f"{name}: {_shown(name, headers[name])}" for name in SHOWN if name in headers]
        head = f"{self._scope['method']} {self._scope['path']}" + (f"?{query}" if query else "")
        body, answer = (part.decode("utf-8", "replace") for part in (self._asked, self._answered))
        return {"head": "\n".join([head, *shown]), "body": body, "status": self.status, "answer": answer}


def _shown(name: str, value: str) -> str:
    if name in ("authorization", "api-key"):
        return "Bearer (your key)" if value.lower().startswith("bearer") else "(your key)"
    return value.split(" ")[0] if name == "user-agent" else value  # what follows tells whose machine it is


@dataclass(frozen=True)
class Exchange:
    """One request and the beginning of its answer, in three lines, or whole with so many lines of the answer."""

    parts: dict
    lines: int | None

    def __str__(self):
        if not self.parts:
            return "Nothing was asked yet."
        head, body, status, answer = (str(self.parts[name]) for name in ("head", "body", "status", "answer"))
        answered = [line for line in answer.split("\n") if line]
        if self.lines is not None:
            return "\n".join([head, "", body, "", status, *answered[: self.lines]])
        three = head.split("\n")[0], body, f"{status} {' '.join(answered)}"
        return "\n".join(line if len(line) <= 110 else f"{line[:108]} …" for line in three)

    __repr__ = __str__

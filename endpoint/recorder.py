"""What went over the wire last: the request as it arrived, without its key, and the first lines of the answer.

An ASGI layer that a practice server wears, so that a lesson can show what a client really sends.
"""

import json

from starlette.types import ASGIApp, Receive, Scope, Send

from slmlab.connecting import is_loopback

PATH = "/practice/exchange"
SECRET = ("authorization", "api-key", "cookie")
SHOWN = ("authorization", "api-key", "content-type", "accept", "user-agent", "extra-parameters")
MOST_BYTES = 4000


class Recorder:
    """Keeps the last exchange of the application inside, and tells it to whoever asks for PATH on this machine."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self._last: dict | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == PATH and _is_here(scope):
            await self._tell(send)
        else:
            await self._record(scope, receive, send)

    async def _record(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, answered, exchange = bytearray(), bytearray(), _request(scope)
        self._last = exchange

        async def heard():
            message = await receive()
            asked.extend(message.get("body", b"")[: MOST_BYTES - len(asked)])
            exchange["body"] = asked.decode("utf-8", "replace")
            return message

        async def said(message):
            if message["type"] == "http.response.start":
                exchange["status"] = message["status"]
            answered.extend(message.get("body", b"")[: MOST_BYTES - len(answered)])
            exchange["answer"] = answered.decode("utf-8", "replace")
            await send(message)

        await self.app(scope, heard, said)

    async def _tell(self, send: Send) -> None:
        body = json.dumps(self._last or {}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})


def _is_here(scope: Scope) -> bool:
    """Whether a client of this machine asks: an exchange holds what its asker wrote, and PATH wants no key."""
    return bool(scope["client"]) and is_loopback(scope["client"][0])


def _request(scope: Scope) -> dict:
    query = scope["query_string"].decode("latin-1")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    shown = {name: _shown(name, headers[name]) for name in SHOWN if name in headers}
    return {"method": scope["method"], "path": scope["path"] + (f"?{query}" if query else ""), "headers": shown}


def _shown(name: str, value: str) -> str:
    if name == "user-agent":
        return value.split(" ")[0]  # what follows tells whose machine it is
    if name not in SECRET:
        return value
    return "Bearer (your key)" if value.lower().startswith("bearer") else "(your key)"

"""The server itself: a profile's routes over a socket, and what every request passes on its way in.

Loopback by default; anything wider demands a key. Knows nothing about notebooks: start.py starts it for them.
"""

import asyncio
import os
import re
import socket
import threading
import time
from datetime import datetime
from functools import partial

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from endpoint import recorder
from endpoint.completions import chat, complete
from endpoint.embeddings import embed
from endpoint.ollama import Ollama
from endpoint.openai_protocol import Refusal
from endpoint.practice import Foundry, GitHubModels, Nvidia
from endpoint.profile import Profile
from endpoint.responses import respond
from endpoint.start import LISTENING
from slmlab.connecting import is_loopback
from slmlab.errors import BadRequest, SlmLabError

PROFILES = {one.name: one for one in (Profile, GitHubModels, Foundry, Nvidia, Ollama)}
OTHERS = {"completions": complete, "responses": respond, "embeddings": embed}  # below a profile's base
MOST_PIXELS = 50_000_000  # of a picture
STOP_S = 5  # answers may finish for so long when the server ends
HEAD_S = 20  # the head of a connection's first request is here by then
LISTEN_S = 1  # who has closed their side may get an answer for so long
HERE = r"(?i)https?://(localhost\.?|127\.[\d.]+|\[::1\])(:\d+)?"  # this machine, asked or asking


def run(profile: Profile, listening: socket.socket, until_input_ends: bool = False) -> None:
    """Serve until a signal comes, or until the process ends that holds the other side of our standard input."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses what has twice as many, before it reads them
    quiet = {"log_level": "error", "access_log": False, "lifespan": "off", "ws": "none", "server_header": False}
    config = uvicorn.Config(build(profile, log=True), http=Patient, timeout_graceful_shutdown=STOP_S, **quiet)
    server = uvicorn.Server(config)
    if until_input_ends:
        threading.Thread(target=_stop_when_input_ends, args=(server,), daemon=True).start()
    host, port = listening.getsockname()[:2]
    print(profile.introduction)
    if not is_loopback(host):
        print(f"The whole network may ask, with the key, at port {port} of this machine.")
    place = "[::1]" if ":" in host else "127.0.0.1"
    print(f"{LISTENING}http://{place}:{port}{profile.base}", flush=True)
    try:
        server.run(sockets=[listening])
    finally:
        profile.close()


class Patient(H11Protocol):
    """HTTP as uvicorn speaks it. Whoever connects and asks nothing isn't waited for: sockets are few."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.loop.call_later(HEAD_S, lambda: self.cycle or transport.close())

    def eof_received(self):
        """Whoever has said all may still listen for a moment; longer, and one that has left would be waited for."""
        self.loop.call_later(LISTEN_S, self.transport.close)
        return True


def _stop_when_input_ends(server: uvicorn.Server) -> None:
    """The process that started us is gone, however it went, when its end of our standard input closes."""
    while os.read(0, 4096):  # not sys.stdin: what a thread holds of that, the end of Python waits for
        pass
    server.should_exit = True


def listen(host: str, port: int, has_key: bool) -> socket.socket:
    """A socket that listens. Beyond this machine only with a key."""
    if not has_key and not is_loopback(host):
        words = f"Listening at {host} lets the whole network ask this model."
        raise BadRequest(f"{words} Give a key (SLMLAB_SERVER_KEY=... or --api-key), or stay at 127.0.0.1.")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise SlmLabError(f"Can't listen at {host} port {port}: {reason}. Take another: --port 0 finds one.") from fault


def build(profile: Profile, log: bool = False) -> ASGIApp:
    """The application of a profile; every refusal leaves in the profile's own shape."""
    base = f"A client's base URL ends with {profile.base}."
    said = "JSON and calls of functions are valid here where that is asked for; so small a model often chooses badly."

    async def refused(request: Request, fault: Exception) -> Response:
        if isinstance(fault, HTTPException):
            near = f"{profile.base}{request.url.path}" in (*answering, *profile.model_paths)
            words = f"{fault.detail}: {request.method} {request.url.path}. {base if near else ''}".strip()
            fault = Refusal(fault.status_code, fault.detail.lower().replace(" ", "_"), words, headers=fault.headers)
        return profile.refuse(fault)

    handlers = dict.fromkeys((Refusal, HTTPException, SlmLabError, Exception), refused)
    root = Route("/", lambda request: PlainTextResponse(f"{profile.introduction}\n{said}\n{base}\n"))
    answering = dict.fromkeys(profile.chat_paths, chat)
    answering |= {f"{profile.base}/{name}": OTHERS[name] for name in profile.other_paths}
    posts = [Route(path, partial(answer, profile), methods=["POST"]) for path, answer in answering.items()]
    app = Starlette(routes=[*posts, *profile.routes(), root], exception_handlers=handlers)
    rules = {"allow_methods": ["GET", "POST"], "allow_headers": ["*"], "expose_headers": ["Retry-After"]}
    pages = CORSMiddleware(app, profile.origins, allow_origin_regex=HERE, allow_private_network=True, **rules)
    return Door(pages, profile, log)


class Door:
    """What every request passes. Pages of other sites are turned away, and a line is logged: no content, no keys."""

    def __init__(self, app: ASGIApp, profile: Profile, log: bool):
        self._app, self._profile, self._log = app, profile, log
        self._last: recorder.Passage | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, answer, passage = time.perf_counter(), self._app, recorder.Passage(scope, receive, send)
        if refusal := self._turned_away(scope):
            answer = self._profile.refuse(refusal)
        elif self._profile.record and scope["path"] == recorder.PATH:
            answer = JSONResponse(self._last.parts() if self._last else {})
            if self._profile.is_wrong_key(Request(scope)):
                answer = self._profile.refuse(Refusal(401, "invalid_api_key", "The API key is missing or wrong."))
        elif self._profile.record:
            self._last = passage
        try:
            await answer(scope, passage.receive, passage.send)
        finally:
            if self._log:
                path = scope["raw_path"].decode("ascii", "replace")  # as it was sent: it can't begin a line of its own
                print(f"{datetime.now():%H:%M:%S} {scope['method']} {path} {passage.status} "
                      f"{time.perf_counter() - began:.2f} s", flush=True)  # fmt: skip

    def _turned_away(self, scope: Scope) -> Refusal | None:
        """No page of another site may make a reader's browser ask here: neither under its own name, nor under a name
        that it has pointed at this machine (which then is the Host). Where a key is asked for, the key decides."""
        said = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        if {name for name, _ in said} >= {b"content-length", b"transfer-encoding"}:
            words = "Content-Length and Transfer-Encoding: which of them is true?"
            return Refusal(400, "bad_request", words, headers={"Connection": "close"})
        if self._profile.key is not None:
            return None
        for name, value in said:
            if name == b"host" and not re.fullmatch(HERE, f"http://{value}"):
                words = f"This server is asked as 127.0.0.1 or localhost, and was asked as {value[:100]!r}."
                advice = "To be asked by another name it wants a key: SLMLAB_SERVER_KEY=... before it starts."
                return Refusal(403, "forbidden", f"{words} {advice}")
            if name == b"origin" and not (re.fullmatch(HERE, value) or value in self._profile.origins):
                words = f"Pages of other sites may not ask this server, and this one is of {value[:100]!r}."
                return Refusal(403, "forbidden", f"{words} To let it in, start the server with --allow-origin.")
        return None

"""The server itself: a profile's routes over a socket, and what every request passes on its way in.

Loopback by default; anything wider demands a key. Knows nothing about notebooks: start.py starts it for them.
"""

import os
import socket
import threading
import time
from datetime import datetime
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from endpoint import recorder
from endpoint.foundry import Foundry
from endpoint.github import GitHubModels
from endpoint.nvidia import Nvidia
from endpoint.ollama import Ollama
from endpoint.openai_protocol import Refusal
from endpoint.profile import Profile
from endpoint.start import LISTENING
from slmlab.connecting import is_loopback
from slmlab.errors import BadRequest, SlmLabError

PROFILES = {one.name: one for one in (Profile, GitHubModels, Foundry, Nvidia, Ollama)}
STOP_S = 5  # answers may finish for so long when the server ends


def run(profile: Profile, listening: socket.socket, until_input_ends: bool = False) -> None:
    """Serve until a signal comes, or until the process ends that holds the other side of our standard input."""
    options = {"log_level": "error", "access_log": False, "lifespan": "off", "ws": "none", "server_header": False}
    server = uvicorn.Server(uvicorn.Config(build(profile, log=True), timeout_graceful_shutdown=STOP_S, **options))
    if until_input_ends:
        threading.Thread(target=_stop_when_input_ends, args=(server,), daemon=True).start()
    print(profile.introduction, flush=True)
    host, port = listening.getsockname()[:2]
    if not is_loopback(host):
        print(f"The whole network may ask, with the key, at port {port} of this machine.")
        host = "::1" if ":" in host else "127.0.0.1"
    print(f"{LISTENING}http://{f'[{host}]' if ':' in host else host}:{port}{profile.base}", flush=True)
    try:
        server.run(sockets=[listening])
    finally:
        profile.queue.close()


def _stop_when_input_ends(server: uvicorn.Server) -> None:
    """The process that started us is gone, however it went, when its end of our standard input closes."""
    while os.read(0, 4096):  # not sys.stdin: what a thread holds of that, the end of Python waits for
        pass
    server.should_exit = True


def listen(host: str, port: int, has_key: bool) -> socket.socket:
    """A socket that listens. Beyond this machine only with a key."""
    if not has_key and not is_loopback(host):
        raise BadRequest(
            f"Listening at {host} lets the whole network ask this model. Give a key (SLMLAB_SERVER_KEY=... or "
            "--api-key), or stay at 127.0.0.1."
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise SlmLabError(f"Can't listen at {host} port {port}: {reason}. Take another: --port 0 finds one.") from fault


def build(profile: Profile, log: bool = False) -> ASGIApp:
    """The application of a profile; every refusal leaves in the profile's own shape."""

    async def refused(request: Request, fault: Exception) -> Response:
        if isinstance(fault, HTTPException):
            words = f"{fault.detail}: {request.method} {request.url.path}"
            fault = Refusal(fault.status_code, fault.detail.lower().replace(" ", "_"), words, headers=fault.headers)
        return profile.refuse(Refusal.of(fault))

    handlers = dict.fromkeys((Refusal, HTTPException, SlmLabError, Exception), refused)
    page = f"{profile.introduction}\nA client's base URL ends with {profile.base}\n"
    root = Route("/", lambda request: PlainTextResponse(page))
    return Door(Starlette(routes=[*profile.routes(), root], exception_handlers=handlers), profile, log)


class Door:
    """What every request passes: pages of other sites are turned away, the last exchange is kept where that is asked
    for, and a line is logged: no prompts, no answers, no keys."""

    def __init__(self, app: ASGIApp, profile: Profile, log: bool):
        self._app, self._profile, self._log = app, profile, log
        self._recorder = recorder.Recorder() if profile.record else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, answer = time.perf_counter(), 499, self._app

        async def watched(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        if self._profile.key is None and not _is_from_here(dict(scope["headers"])):
            answer = self._profile.refuse(Refusal(403, "forbidden", "Pages of other sites may not ask this server."))
        elif self._recorder and scope["path"] == recorder.PATH and is_loopback(scope["client"][0]):
            answer = JSONResponse(self._recorder.last)  # asked from this machine: it needs no key
        elif self._recorder:
            receive, watched = self._recorder.between(scope, receive, watched)
        try:
            await answer(scope, receive, watched)
        finally:
            if self._log:
                path = scope["raw_path"].decode("ascii", "replace")  # as it was sent: it can't begin a line of its own
                print(f"{datetime.now():%H:%M:%S} {scope['method']} {path} {status} "
                      f"{time.perf_counter() - began:.2f} s", flush=True)  # fmt: skip


def _is_from_here(headers: dict[bytes, bytes]) -> bool:
    """No page of another site may make a reader's browser ask here: neither under its own name, nor under a name that
    it has pointed at this machine (which then is the Host)."""
    origin, host = (headers.get(name, b"").decode("latin-1") for name in (b"origin", b"host"))
    try:
        return all(is_loopback(urlsplit(url).hostname or "") for url in (origin, host and f"//{host}") if url)
    except ValueError:  # no address at all
        return False

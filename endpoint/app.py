"""The server itself: a profile's routes over a socket, started and stopped in order.

Loopback by default; anything wider demands a key. Knows nothing about notebooks: serving.process starts it for them.
"""

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from endpoint.limits import Switches
from endpoint.openai_protocol import Refusal
from endpoint.page import sentence
from endpoint.practice import PROFILES
from endpoint.profile import Profile
from endpoint.queue import WAITING, Desk
from endpoint.recorder import Recorder
from endpoint.start import LISTENING, server_key
from slmlab.connecting import is_loopback
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest, SlmLabError

STOP_S = 5
TELL_S = 1.5  # of that: for telling those whose answer isn't whole


def run(
    engine: Engine,
    listening: socket.socket,
    *,
    key: str | None = None,
    profile: str = "local",
    switches: Switches | None = None,
    waiting: int = WAITING,
    until_ends: int | None = None,
) -> None:
    """Serve until a signal comes, or until a process ends that holds the other side of our standard input."""
    served = PROFILES[profile](Desk(engine, waiting), key, switches)
    server = Server(
        uvicorn.Config(build(served, Log()), log_level="error", access_log=False, timeout_graceful_shutdown=STOP_S,
                       lifespan="off", server_header=False), served.desk
    )  # fmt: skip
    if until_ends is not None:
        for ended in (_input_ended, lambda: _process_ended(until_ends)):
            threading.Thread(target=_stop_when, args=(ended, server), daemon=True).start()
    print(sentence(served), flush=True)
    if not is_loopback(listening.getsockname()[0]):
        print(f"The whole network may ask, with the key, at port {listening.getsockname()[1]} of this machine.")
    print(f"{LISTENING}{_root(listening)}{served.base}", flush=True)
    try:
        server.run(sockets=[listening])
    finally:
        served.desk.close()


class Server(uvicorn.Server):
    """Stops in order: answers may finish for some seconds, then their askers are told, then the connections are cut."""

    def __init__(self, config: uvicorn.Config, desk: Desk):
        super().__init__(config)
        self._desk = desk

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a connection that is cut now is no fault
        asyncio.get_running_loop().call_later(STOP_S - TELL_S, self._desk.stop)
        await super().shutdown(sockets)


def build(profile: Profile, log: "Log | None" = None) -> ASGIApp:
    """The application of a profile; every refusal leaves in the profile's own shape."""

    async def on_refusal(request: Request, refusal: Refusal):
        return profile.refuse(refusal)

    async def on_http(request: Request, fault: HTTPException):
        words = {404: f"There is no {request.url.path} here.", 405: f"{request.method} isn't allowed here."}
        code = "method_not_allowed" if fault.status_code == 405 else "not_found"
        words = words.get(fault.status_code, fault.detail)
        return profile.refuse(Refusal(fault.status_code, code, words, headers=dict(fault.headers or {})))

    async def on_fault(request: Request, fault: SlmLabError):
        status, code = (400, "invalid_request") if isinstance(fault, BadRequest) else (500, "server_error")
        return profile.refuse(Refusal(status, code, str(fault)))

    async def on_left(request: Request, fault: ClientDisconnect):
        return profile.refuse(Refusal(499, "client_closed_request", "The client went before it had asked."))

    async def on_crash(request: Request, fault: Exception):
        return profile.refuse(Refusal(500, "server_error", f"The server failed: {type(fault).__name__}."))

    handlers = {Refusal: on_refusal, HTTPException: on_http, SlmLabError: on_fault, ClientDisconnect: on_left,
                Exception: on_crash}  # fmt: skip
    app = Starlette(routes=profile.routes(), exception_handlers=handlers)
    recorded = Recorder(app) if profile.switches.record else app
    guarded = recorded if profile.key else SameOrigin(recorded, profile)
    return Logged(guarded, log) if log else guarded


def listen(host: str, port: int, key: str | None) -> socket.socket:
    """A socket that listens. Beyond this machine only with a key."""
    if not 0 <= port <= 65535:
        raise BadRequest(f"port={port} is out of range: 1 to 65535, or 0 for any that is free.")
    if server_key(key) is None and not is_loopback(host):
        raise BadRequest(
            f"Listening at {host} lets the whole network ask this model. Give a key (SLMLAB_SERVER_KEY=... or "
            "--api-key), or stay at 127.0.0.1."
        )
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(256)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise SlmLabError(f"Can't listen at {host} port {port}: {reason}. Take another: --port 0 finds one.") from fault
    return found


def _root(listening: socket.socket) -> str:
    """Where this machine reaches the server, also one that listens everywhere."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop_when(ended: Callable[[], None], server: uvicorn.Server) -> None:
    ended()
    server.should_exit = True


def _input_ended() -> None:
    """When the process that started us is gone, however it went, its end of our standard input closes."""
    while os.read(0, 4096):  # not sys.stdin: what a thread holds of that, the end of Python waits for
        pass


def _process_ended(number: int) -> None:
    """A copy of that process (a fork) keeps the input open: then only its own end tells."""
    import psutil

    try:
        starter = psutil.Process(number)
        while starter.is_running() and starter.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    except psutil.NoSuchProcess:
        return


class SameOrigin:
    """Without a key, no page of another site may make a reader's browser ask here: neither under its own name, nor
    under a name that it has pointed at this machine (which then is the Host)."""

    def __init__(self, app: ASGIApp, profile: Profile):
        self.app, self.profile = app, profile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_from_here(dict(scope["headers"])):
            refusal = Refusal(403, "forbidden", "Pages of other sites may not ask this server.")
            await self.profile.refuse(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_from_here(headers: dict[bytes, bytes]) -> bool:
    origin, host = (headers.get(name, b"").decode("latin-1") for name in (b"origin", b"host"))
    return all(is_loopback(_hostname(url)) for url in (origin, host and f"//{host}") if url)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class Log:
    """A line for each request: what, how it went, how long. No prompts, no answers, no keys."""

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        try:
            print(f"{datetime.now():%H:%M:%S} {method} {path} {status} {seconds:.2f} s", flush=True)
        except (OSError, ValueError):  # nobody reads the log any more, and answers go on
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the server runs


class Logged:
    """Writes the log's line when a request is over, streamed or not."""

    def __init__(self, app: ASGIApp, log: Log):
        self.app, self.log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            path = "".join(one if one.isascii() and one.isprintable() else "?" for one in scope["path"])
            self.log.write(scope["method"], path, status or 499, time.perf_counter() - began)

"""serve(): a server in a process of its own, so that a notebook goes on, and a crash there is no crash here.
practise(name): a service, live where its key is set and it still exists, else such a server that speaks its protocol.

The child lives as long as this process: it ends when its standard input does. Knows nothing about protocols.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from endpoint.recorder import PATH, Exchange
from slmlab.connecting import Endpoint, Provider, as_key, is_loopback, key_of, placed, read_at, services
from slmlab.errors import BadRequest, NotHere, SlmLabError, in_range, nearest, quoted

# Whose protocol a server can speak, and a key to practise with, of the form that the service gives out.
PRACTICE_KEYS = {"local": None, "github-models": "github_pat_practice", "foundry": "foundry-practice",
                 "nvidia": "nvapi-practice", "ollama": None}  # fmt: skip
LISTENING = "Listening at "  # the beginning of the line that the starter of a server waits for
STOP_S = 7  # the server itself lets answers finish for 5
ROOT = Path(__file__).resolve().parents[1]  # the folder that holds the packages
_practice_servers: dict[str, "Server"] = {}  # one for each profile, started when it is first wanted


def register(commands) -> None:
    """Add `serve` to the commands of `python -m slmlab`."""
    serve = commands.add_parser("serve", help="a server on this machine that speaks OpenAI's protocol, or a provider's")
    serve.set_defaults(run=run)
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; beyond this machine only with a key")
    serve.add_argument("--port", type=int, default=0, help="0 is any that is free (default)")
    given = os.environ.get("SLMLAB_SERVER_KEY") or None
    serve.add_argument("--api-key", default=given, help="ask clients for this key; better kept in SLMLAB_SERVER_KEY")
    serve.add_argument("--model", default="smollm2-135m", help="a name from `models`, or a folder")
    serve.add_argument("--precision", choices=("q4", "int8", "int4", "fp32", "bf16"))
    serve.add_argument("--profile", choices=PRACTICE_KEYS, default="local", help="whose protocol to speak")
    serve.add_argument("--seats", type=int, default=16, help="answers written at the same time")
    serve.add_argument("--allow-origin", action="append", metavar="URL", default=[], help="a site whose pages may ask")
    serve.add_argument("--waiting", type=int, default=32, help="requests that may wait: one more gets a 429")
    practice = serve.add_argument_group("practice, for a provider's profile")
    practice.add_argument("--retired", action="store_true", help="answer as the service does that is gone for good")
    practice.add_argument("--per-minute", type=int, metavar="N", help="requests that a model takes in a minute")
    practice.add_argument("--minute-s", type=float, default=60, metavar="S", help="how long that minute lasts")
    practice.add_argument("--record", action="store_true", help="show the last exchange, its key hidden, on a page")
    serve.add_argument("--until-input-ends", action="store_true", help=argparse.SUPPRESS)


def run(parsed) -> int:
    """Load the model and serve it until a signal comes."""
    try:
        from endpoint import app
        from endpoint.queue import Queue
    except ModuleNotFoundError as fault:
        raise NotHere(f"{fault.name} isn't installed: pip install 'slmlab[cloud]'") from fault

    key = None if parsed.api_key is None else server_key(parsed.api_key).get_secret_value()
    in_range("seats", parsed.seats, 1, 64, "1 to 64 answers that are written at the same time")
    listening = app.listen(parsed.host, parsed.port, key is not None)  # what can't be is said before a model is loaded
    names = ("retired", "record", "per_minute", "minute_s", "allow_origin")
    practice = {name: getattr(parsed, name) for name in names}
    queue = Queue(_model(parsed.model, parsed.precision, parsed.seats), parsed.waiting)
    app.run(app.PROFILES[parsed.profile](queue, key, **practice), listening, parsed.until_input_ends)
    return 0


def _model(name: str, precision: str | None, seats: int):
    """The model to serve: in a batch where its form can be read in one."""
    from endpoint.batch.engine import BatchedEngine
    from endpoint.batch.model import can_batch
    from slmlab import loading

    plan = loading.plan(name, precision=precision)
    if plan.engine == "onnx" and seats > 1 and can_batch(plan.folder):
        return BatchedEngine(plan.card, plan.folder, plan.precision, seats=seats)
    return loading.opened(plan)


def server_key(given: str):
    """The key that a server asks for, as its clients will send it."""
    key = as_key(given, "The server's key")
    if not key:
        raise BadRequest("A server's key is not empty. A server without one is asked by this machine alone.")
    return key


class Server(AbstractContextManager):
    """A server that runs: a client's base URL is `url`, `key` a key that it takes, `.log()` what it does."""

    def __init__(self, process: subprocess.Popen, profile: str, model: str, key):
        self.profile, self.model, self.key = profile, model, key
        self._process, self._lines = process, deque(maxlen=1000)
        try:
            self.url = self._await_start()
        except BaseException:  # an interrupt must leave no process behind
            self.stop()
            raise
        self.root = "/".join(self.url.split("/")[:3])
        threading.Thread(target=list, args=(self._new_lines(),), daemon=True).start()

    def _await_start(self) -> str:
        for line in self._new_lines():
            if line.startswith(f"{LISTENING}http"):  # and not with what may be wrong with the place
                return line.removeprefix(LISTENING)
        raise SlmLabError(f"The server didn't start. {self.log() or 'It said nothing.'}")

    def _new_lines(self) -> Iterator[str]:
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            yield line.rstrip()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self, lines: int = 20) -> str:
        """The last lines of the server's log."""
        return "\n".join(list(self._lines)[-lines:])

    def read(self, path: str) -> str:
        """The text at a path of this server, such as '/health' or '/metrics'."""
        return read_at(self.root, path, self.key)

    def exchange(self, lines: int | None = None) -> Exchange:
        """The last request and its answer in three lines; with `lines`, all of it and so many of the answer's."""
        try:
            return Exchange(json.loads(self.read(PATH)), lines)
        except SlmLabError as fault:
            raise SlmLabError(f"Nothing was recorded: serve(record=True) keeps the last exchange. ({fault})") from fault

    def stop(self) -> None:
        """End the server: what it is answering may finish, for some seconds."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:  # it hangs, or a copy of this process holds its input open
            self._process.kill()
            self._process.wait()

    def __exit__(self, *_):
        self.stop()

    def __repr__(self):
        state = "running" if self.is_running else "stopped"
        return f"Server({self.url}, {self.profile}, {self.model}, {state})"


def serve(model: str = "smollm2-135m", *, profile: str = "local", precision: str | None = None,
          host: str = "127.0.0.1", port: int = 0, key: str | None = None,
          seats: int | None = None, waiting: int | None = None, record: bool = False, retired: bool = False,
          per_minute: int | None = None, minute_s: float | None = None) -> Server:  # fmt: skip
    """Start a server over a model of this machine, and go on when it answers.

    `profile` is the protocol that it speaks: 'local' is OpenAI's own; 'github-models', 'foundry', 'nvidia' and 'ollama'
    imitate those services, with their limits (`per_minute`, `minute_s`) and their end (`retired`). With
    `record`, `.exchange()` shows what went over the wire last. It ends with `.stop()`, a `with` block or this process.
    """
    options = {name: value for name, value in locals().items() if name != "key"}
    if profile not in PRACTICE_KEYS:
        raise BadRequest(f"Unknown profile {quoted(profile)}. {nearest(str(profile), list(PRACTICE_KEYS))}")
    key = None if key is None else server_key(key)
    command = [sys.executable, "-m", "slmlab", "serve", "--until-input-ends"]
    for name, value in options.items():
        if value is not None and value is not False:  # a 0 is told, and refused
            command.append(f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}"))
    # Where these packages aren't installed but stand beside the notebook, the child finds them as we did. The key isn't
    # among the arguments: those are there for all to read.
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8",
                                "SLMLAB_SERVER_KEY": key.get_secret_value() if key else ""}  # fmt: skip
    # An interrupt of the cell is not for the server: it has a group of its own.
    own_group = {"start_new_session": True, "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, encoding="utf-8", errors="replace", env=environment, **pipes, **own_group)
    practice = PRACTICE_KEYS[profile]
    return Server(process, profile, model, key or (practice and as_key(practice)))


def practise(name: str, *, practice: bool | None = None) -> Endpoint:
    """A service by its name, or any URL. One line says which it is and why. `practice` True or False decides it."""
    who = placed(name).provider if "://" in name else services()[name]
    why = "practice=True" if practice else _why_practice(who) if practice is None and "://" not in name else None
    if why is None:
        live = placed(name)
        print(f"{live.provider.name}, live at {live.url}.")
        return live
    profile = who.practice or "local"
    server = _practice_servers.get(profile)
    if not (server and server.is_running):
        server = _practice_servers[profile] = serve(profile=profile, record=True)
    protocol = f"the protocol of {who.name.replace('A ', 'a ', 1)}" if who.practice else "OpenAI's protocol"
    print(f"{why}: a practice server at {server.url} speaks {protocol}; its answers come from {server.model}.")
    return Endpoint(who, server.url, server.key, live=False, server=server)


def _why_practice(who: Provider) -> str | None:
    """Why the live service can't be asked, or None when it can."""
    if who.status == "retired":
        return f"{who.name} was retired on {who.status_date}"
    if who.key_needed and key_of(who) is None:
        return f"{who.key_names} isn't set"
    has_url = any(os.environ.get(variable, "").strip() for variable in who.url_variables)
    if not has_url and who.base_url is None:
        return f"{who.url_names} isn't set"
    if not has_url and is_loopback(who.base_url) and not _listens(who.base_url):
        return f"Nothing listens at {who.base_url}"
    return None


def _listens(url: str) -> bool:
    with suppress(OSError), socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=1):
        return True
    return False

"""serve(): a server in a process of its own, so that a notebook goes on, and a crash there is no crash here.

The child lives as long as this process: it ends when its standard input does, or this process, however we end. Knows
nothing about protocols.
"""

import argparse
import atexit
import json
import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from queue import Empty, Queue

from slmlab.connecting import Key, as_key, read_at, text_at
from slmlab.errors import BadRequest, NotHere, SlmLabError, nearest, quoted, whole


def register(commands) -> None:
    """Add `serve` to the commands of `python -m slmlab`."""
    serve = commands.add_parser("serve", help="a server on this machine that speaks OpenAI's protocol, or a provider's")
    serve.set_defaults(run=run)
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; beyond this machine only with a key")
    serve.add_argument("--port", type=int, default=0, help="0 is any that is free (default)")
    serve.add_argument("--api-key", metavar="KEY", help="ask clients for this key; better kept in SLMLAB_SERVER_KEY")
    serve.add_argument("--model", default="smollm2-135m", help="a name from `models`, or a folder")
    serve.add_argument("--precision", choices=("q4", "int8", "int4", "fp32", "bf16"))
    serve.add_argument("--profile", choices=PROFILES, default="local", help="whose protocol to speak")
    serve.add_argument("--seats", type=int, default=16, help="answers written at the same time (%(default)s)")
    serve.add_argument("--waiting", type=int, default=32, help="requests that may wait: one more gets a 429")
    practice = serve.add_argument_group("practice, for a provider's profile")
    practice.add_argument("--retired", action="store_true", help="answer as the service does that is gone for good")
    practice.add_argument("--per-minute", type=int, metavar="N", help="requests that a model takes in a minute")
    practice.add_argument("--per-day", type=int, metavar="N", help="requests that a model takes in a day")
    practice.add_argument("--minute-s", type=float, default=60, metavar="S", help="how long that minute lasts")
    practice.add_argument("--record", action="store_true", help="show the last exchange, its key hidden, on a page")
    serve.add_argument("--until-ends", type=int, metavar="PID", help=argparse.SUPPRESS)


def run(parsed) -> int:
    """Load the model and serve it until a signal comes."""
    from endpoint.batch.engine import BatchedEngine
    from endpoint.batch.model import can_batch
    from slmlab import loading

    try:
        from endpoint import app
        from endpoint.limits import Switches
    except ModuleNotFoundError as fault:
        raise NotHere(f"{fault.name} isn't installed: python -m pip install {fault.name}") from fault

    given = parsed.api_key if parsed.api_key is not None else os.environ.get("SLMLAB_SERVER_KEY") or None
    key = server_key(given)
    listening = app.listen(parsed.host, parsed.port, key)  # before the model is loaded: what can't be, is said at once
    switches = Switches(parsed.retired, parsed.per_minute, parsed.per_day, parsed.minute_s, parsed.record)
    seats = whole("seats", parsed.seats, 1, 64, "1 to 64 answers written at the same time")
    plan = loading.plan(parsed.model, precision=parsed.precision)
    if plan.engine == "onnx" and seats > 1 and can_batch(plan.folder):
        model = BatchedEngine(plan.card, plan.folder, plan.precision, seats=seats)
    else:
        model = loading.opened(plan)
    app.run(
        model, listening, key=key, profile=parsed.profile, switches=switches, waiting=parsed.waiting,
        until_ends=parsed.until_ends,
    )  # fmt: skip
    return 0


# Whose protocol a server can speak, and a key to practise with, of the form that the service gives out.
PROFILES = {
    "local": None,
    "github-models": "github_pat_practice",
    "foundry": "foundry-practice",
    "nvidia": "nvapi-practice",
    "ollama": None,
}
LISTENING = "Listening at "  # the beginning of the line that the starter of a server waits for
STOP_S = 7  # the server itself lets answers finish for 5
START_S = 300  # the first time on a machine, the model is fetched and converted
_running: list["Server"] = []


def server_key(given: str | None) -> Key | None:
    """The key that a server asks for, as its clients will send it; None for one that only this machine may ask."""
    if given is None:
        return None
    key = as_key(given, "The server's key")
    if not key:
        raise BadRequest("A server's key is not empty. A server without one is asked by this machine alone.")
    return key


class Exchange:
    """One request and the beginning of its answer, as text."""

    def __init__(self, parts: dict, lines: int):
        self.parts = parts
        self._lines = lines

    def __str__(self):
        given = self.parts
        if not given:
            return "Nothing was asked yet."
        headers = [f"{name}: {value}" for name, value in given["headers"].items()]
        answer = [line for line in given.get("answer", "").split("\n") if line]
        shown = [line if len(line) <= 160 else f"{line[:60]} ... {line[-95:]}" for line in answer[: self._lines]]
        left = len(answer) - self._lines
        more = [f"... and {left} more {'line' if left == 1 else 'lines'}"] if left > 0 and self._lines else []
        request = [f"{given['method']} {given['path']}", *headers, "", given.get("body", "")]
        return "\n".join([*request, "", f"{given.get('status', '')}", *shown, *more])

    __repr__ = __str__


class Server:
    """A server that runs: a client's base URL is `url`, and `key` a key that it takes. `.log()` shows it at work,
    `.stop()` ends it."""

    def __init__(self, process: subprocess.Popen, profile: str, model: str, key: str | None):
        self.profile, self.model = profile, model
        given = key or PROFILES[profile]
        self.key = Key(given) if given else None
        self._process = process
        self._lines: deque[str] = deque(maxlen=1000)
        self._news: Queue[str | None] | None = Queue()  # lines for the wait until it listens
        threading.Thread(target=self._listen, daemon=True).start()
        self.url, self._news = self._await_start(), None
        self.root = self.url.split("/", 3)[0] + "//" + self.url.split("/", 3)[2]

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))
            if self._news is not None:
                self._news.put(line.rstrip("\n"))
        if self._news is not None:
            self._news.put(None)

    def _await_start(self) -> str:
        try:
            while (line := self._news.get(timeout=START_S)) is not None:
                if line.startswith(f"{LISTENING}http"):
                    return line.removeprefix(LISTENING).strip()
        except Empty:
            self.stop()
            raise SlmLabError(f"The server didn't start within {START_S} s:\n{self.log()}") from None
        except BaseException:  # an interrupt must leave no process behind
            self.stop()
            raise
        self.stop()
        raise SlmLabError(f"The server didn't start. {self.log() or 'It said nothing.'}")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self, lines: int = 20) -> str:
        """The last lines of the server's log."""
        return "\n".join(list(self._lines)[-lines:])

    def read(self, path: str) -> str:
        """The text at a path of this server, such as '/health' or '/metrics'."""
        return read_at(self.root, path, self.key)

    def exchange(self, lines: int = 8) -> Exchange:
        """The last request as it arrived here, and the first lines of its answer (for a server made with record)."""
        try:
            return Exchange(json.loads(text_at(self.root + "/practice/exchange")), lines)
        except (OSError, ValueError) as fault:
            raise SlmLabError(f"Nothing was recorded: serve(record=True) keeps the last exchange. ({fault})") from fault

    def stop(self) -> None:
        """End the server: what it is answering may finish, for some seconds."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        for further in (self._process.terminate, self._process.kill, None):
            try:
                self._process.wait(timeout=STOP_S)
                break
            except subprocess.TimeoutExpired:  # a copy of this process holds the input open, or it hangs
                if further:
                    further()
        if self in _running:
            _running.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __repr__(self):
        state = "running" if self.is_running else "stopped"
        return f"Server({self.url}, {self.profile}, {self.model}, {state})"


def serve(
    model: str = "smollm2-135m",
    *,
    profile: str = "local",
    precision: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str | None = None,
    seats: int | None = None,
    waiting: int | None = None,
    retired: bool = False,
    per_minute: int | None = None,
    per_day: int | None = None,
    minute_s: float | None = None,
    record: bool = False,
) -> Server:
    """Start a server over a model of this machine, and go on when it answers.

    `profile` is the protocol that it speaks: 'local' is OpenAI's own; 'github-models', 'foundry', 'nvidia' and 'ollama'
    imitate those services, with their limits (`per_minute`, `per_day`, `minute_s`) and their end (`retired`). With
    `record`, `.exchange()` shows what went over the wire last. It stops with `.stop()`, at the end of a `with` block,
    or with this process.
    """
    if profile not in PROFILES:
        raise BadRequest(f"Unknown profile {quoted(profile)}. {nearest(str(profile), list(PROFILES))}")
    key = server_key(key)
    options = {"--model": model, "--profile": profile, "--host": host, "--port": port, "--precision": precision,
               "--seats": seats, "--waiting": waiting, "--per-minute": per_minute, "--per-day": per_day,
               "--minute-s": minute_s}  # fmt: skip
    flags = [f"--{name}" for name, wanted in (("retired", retired), ("record", record)) if wanted]
    command = [sys.executable, "-m", "slmlab", "serve", f"--until-ends={os.getpid()}", *flags]
    command += [f"{name}={value}" for name, value in options.items() if value is not None]
    environment = dict(os.environ)
    environment.pop("SLMLAB_SERVER_KEY", None)
    if key is not None:
        environment["SLMLAB_SERVER_KEY"] = key.reveal()  # not among the arguments: those are there for all to read
    # Where this package isn't installed but stands beside the notebook, the child finds it as we did.
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(Path(__file__).resolve().parents[2]), environment.get("PYTHONPATH")))
    )
    own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {
        "start_new_session": True}  # an interrupt of the cell is not for the server  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace", env=environment | {"PYTHONIOENCODING": "utf-8"}, **own_group,
    )  # fmt: skip
    server = Server(process, profile, model, key)
    _running.append(server)
    return server


def running() -> list[Server]:
    """The servers that this process has started and that still run, the newest last."""
    return [one for one in _running if one.is_running]


@atexit.register
def _stop_all() -> None:
    for server in list(_running):
        server.stop()

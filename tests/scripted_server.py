"""A real HTTP server that answers as a script says, byte for byte, and remembers what it was asked."""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}


@dataclass
class Answer:
    """One answer: a status, headers, and the blocks of its body, each sent as a chunk. `then`: 'drop' breaks the
    connection after them, 'hold' keeps it open until the client leaves."""

    status: int = 200
    blocks: tuple[bytes, ...] = ()
    headers: dict = field(default_factory=lambda: dict(EVENTS))
    then: str = "end"


def answer_json(status: int, body, **headers) -> Answer:
    data = json.dumps(body).encode()
    return Answer(status, (data,), {"content-type": "application/json", "content-length": str(len(data)), **headers})


def event(text: str | None = None, **extra) -> bytes:
    """One event of a chat's stream; its further fields go beside the delta."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": None} | extra
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


def stream(*texts: str, reason: str = "stop", usage=(7, 3)) -> Answer:
    """A whole answer as a well-behaved server streams it."""
    blocks = [*(event(text) for text in texts), event(finish_reason=reason)]
    if usage:
        told = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        blocks.append(b"data: " + json.dumps({"id": "1", "choices": [], "usage": told}).encode() + b"\n\n")
    return Answer(blocks=(*blocks, b"data: [DONE]\n\n"))


class ScriptedServer:
    """Answers each request with the next of `answers`, the last one for ever; a function answers by the request."""

    def __init__(self, *answers: Answer | Callable[[dict], Answer]):
        self.answers = list(answers)
        self.requests: list[dict] = []
        self.left = threading.Event()  # a client closed a connection that was held
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def bodies(self) -> list[dict]:
        return [one["body"] for one in self.requests]

    def close(self):
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ScriptedServer

    def do_POST(self):
        script = self.script
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if body and "/blobs/" not in self.path:  # there, Ollama is sent a file
            body = json.loads(body)
        asked = {"path": self.path, "headers": headers, "body": body or None}
        script.requests.append(asked)
        answer = script.answers[min(len(script.requests), len(script.answers)) - 1]
        answer = answer(asked) if callable(answer) else answer
        self.send_response(answer.status)
        for name, value in {**answer.headers, "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        chunked = "transfer-encoding" in answer.headers
        for block in () if self.command == "HEAD" else answer.blocks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        if answer.then == "hold":
            with contextlib.suppress(ConnectionResetError):  # a client that goes with bytes unread resets
                self.rfile.read(1)
            script.left.set()
        if answer.then == "end" and chunked:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_DELETE = do_POST

    def log_message(self, *_):
        """Say nothing: a test looks at all that is printed."""

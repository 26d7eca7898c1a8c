"""A real HTTP server that answers as a script says, byte for byte, and remembers what it was asked."""

import json
import socket
import struct
import threading
from dataclasses import dataclass, field

JSON = {"content-type": "application/json"}
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
    return Answer(status, (data,), {**JSON, "content-length": str(len(data)), **headers})


def event(text: str | None = None, **extra) -> bytes:
    """One event of a chat's stream; its further fields go beside the delta."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": None} | extra
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


def stream(*texts: str, reason: str | None = "stop", usage=(7, 3)) -> Answer:
    """A whole answer as a well-behaved server streams it."""
    blocks = [event(text) for text in texts]
    blocks += [event(finish_reason=reason)] if reason else []
    if usage:
        told = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        blocks.append(b"data: " + json.dumps({"id": "1", "choices": [], "usage": told}).encode() + b"\n\n")
    return Answer(blocks=(*blocks, b"data: [DONE]\n\n"))


class ScriptedServer:
    """Answers each request with the next of `answers`, the last one again and again."""

    def __init__(self, *answers: Answer):
        self.answers = list(answers)
        self.requests: list[dict] = []
        self.left = threading.Event()  # a client closed a connection that was held
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self._reply(connection, self._read(connection))
            except OSError:
                self.left.set()

    def _read(self, connection) -> int:
        file = connection.makefile("rb")
        line = file.readline().decode().split()
        headers = {}
        while (one := file.readline().strip()) != b"":
            name, _, value = one.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = file.read(int(headers.get("content-length", 0)))
        self.requests.append({"path": line[1], "headers": headers, "body": json.loads(body) if body else None})
        return len(self.requests) - 1

    def _reply(self, connection, number: int):
        answer = self.answers[min(number, len(self.answers) - 1)]
        head = f"HTTP/1.1 {answer.status} Said\r\nconnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        connection.sendall(head.encode() + b"\r\n")
        chunked = "transfer-encoding" in answer.headers
        for block in answer.blocks:
            connection.sendall(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        if answer.then == "drop":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        elif answer.then == "hold":
            connection.settimeout(10)
            if connection.recv(1) == b"":
                self.left.set()
        elif chunked:
            connection.sendall(b"0\r\n\r\n")

    @property
    def bodies(self) -> list[dict]:
        return [one["body"] for one in self.requests]

    def close(self):
        self._socket.close()

"""runtimes.ollama: the real client against a server that speaks as much of Ollama as is asked."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from course.runtimes.contract import chat_format, gguf_file
from course.runtimes.listing import made
from course.runtimes.ollama import NAME, recipe


class Speaker(BaseHTTPRequestHandler):
    """Writes ' one' as often as it is asked, and remembers what it was sent."""

    def _say(self, told=None, status=200):
        data = json.dumps(told).encode() if told is not None else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def do_HEAD(self):
        self._say(status=404)  # no blob is here yet

    def do_GET(self):
        loaded = [{"model": f"{NAME}:latest", "name": f"{NAME}:latest", "size": 123_000_000}]
        self._say({"/api/version": {"version": "0.99.1"}, "/api/ps": {"models": loaded}}.get(self.path, {"models": []}))

    def do_POST(self):
        if self.path.startswith("/api/blobs/"):
            self.server.blob = self._body()
            return self._say(status=201)
        body = json.loads(self._body())
        self.server.asked.append((self.path, body))
        words = " one" * body.get("options", {}).get("num_predict", 0)
        self._say({"status": "success", "model": NAME, "response": words, "done": True})

    do_DELETE = do_POST


@pytest.fixture
def speaker(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Speaker)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_the_server_gets_the_bundled_file_and_every_prompt_as_raw_text(speaker, bundled):
    runtime = made("ollama")
    assert runtime.need() is None
    runtime.prepare()
    runtime.open()
    assert speaker.blob == gguf_file().read_bytes()
    digest = hashlib.sha256(speaker.blob).hexdigest()
    created = next(body for path, body in speaker.asked if path == "/api/create")
    assert created["files"] == {gguf_file().name: f"sha256:{digest}"} and runtime.version == "0.99.1"
    ids = chat_format().ids("<|im_start|>user\nHi<|im_end|>\n")
    runtime.read(ids)
    assert runtime.write(3) == chat_format().ids(" one one one")
    assert runtime.write(1) == chat_format().ids(" one")
    prompts = [body["prompt"] for path, body in speaker.asked if path == "/api/generate" and body["raw"]]
    assert prompts[1:] == [chat_format().marked(ids)] * 2 + [chat_format().marked(ids) + " one one one"]
    assert runtime.resident_bytes() == 123_000_000 and runtime.score(ids) == (None, None)
    runtime.forget()
    assert speaker.asked[-1][1]["prompt"] == "\n", "what it kept of a prompt is pushed out before the next"
    runtime.close()
    assert speaker.asked[-1] == ("/api/delete", {"model": NAME}), "the reader's own store is left as it was"


def test_without_a_server_it_says_where_to_get_one(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    assert "https://ollama.com/download" in made("ollama").need()


def test_a_modelfile_becomes_what_ollama_is_sent():
    text = 'FROM phi3.5\nparameter stop "a"\nPARAMETER stop "b c"\nPARAMETER temperature 0.5\n'
    text += 'SYSTEM """Two\nlines"""\nADAPTER ./lora.gguf\nMESSAGE user Hi there'
    assert recipe(text) == {
        "from_": "phi3.5",
        "parameters": {"stop": ["a", "b c"], "temperature": 0.5},
        "system": "Two\nlines",
        "adapters": {"./lora.gguf": ""},
        "messages": [{"role": "user", "content": "Hi there"}],
    }

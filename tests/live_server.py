"""A server of this course on a real socket, in a thread of the test; and an engine that says what a test wants said."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import uvicorn

from endpoint.app import PROFILES, build, listen
from endpoint.profile import Profile
from endpoint.queue import Queue
from endpoint.start import PRACTICE_KEYS
from slmlab.catalog import card
from slmlab.chat import as_messages
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest
from slmlab.records import End, Reply, Start, Token

# A test of a protocol needs a model, and no second family of it.
ONE_FAMILY = pytest.mark.parametrize("tiny_folder", ["llama"], indirect=True, scope="session")
KEYS = {name: key or "any" for name, key in PRACTICE_KEYS.items()}
HELLO = [{"role": "user", "content": "Hello"}]


class Live:
    """A server that runs: its address, a client's base URL, and what stands behind it."""

    def __init__(self, root: str, profile: Profile):
        self.root, self.url, self.profile, self.queue = root, root + profile.base, profile, profile.queue
        self.model = profile.models()[0]
        self.headers = {"Authorization": f"Bearer {KEYS[profile.name]}"}

    def get(self, path: str, **options) -> requests.Response:
        return requests.get(self.root + path, headers=self.headers, timeout=20, **options)

    def post(self, path: str | None = None, headers: dict | None = None, **body) -> requests.Response:
        given = self.headers if headers is None else headers
        return requests.post(self.root + (path or self.profile.chat_paths[0]), json=body, headers=given, timeout=20)

    def chat(self, messages=HELLO, headers: dict | None = None, **settings) -> requests.Response:
        body = {"model": self.model, "messages": messages, "max_tokens": 8} | settings
        return self.post(headers=headers, **body)

    def chunks(self, **settings) -> list[dict]:
        """The objects of a stream, which has to end as it should."""
        events = self.chat(stream=True, **settings).content.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        return [json.loads(one.removeprefix("data: ")) for one in events[:-2]]


@contextmanager
def live(engine, profile="local", *, key=None, waiting=32, log=False, http="auto", **practice) -> Iterator[Live]:
    """Serve an engine for as long as the block lasts."""
    served = PROFILES[profile](Queue(engine, waiting), key, **practice)
    listening = listen("127.0.0.1", 0, key is not None)
    config = uvicorn.Config(build(served, log), log_config=None, access_log=False, lifespan="off", http=http,
                            timeout_graceful_shutdown=2)  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield Live(f"http://127.0.0.1:{listening.getsockname()[1]}", served)
    finally:
        server.should_exit = True  # its thread sees it within a tenth of a second
        if log:
            thread.join(10)  # what it still has to write is there when the test looks
        served.queue._threads.shutdown(wait=False, cancel_futures=True)  # the engine is the test's


def until(happened, most_s: float = 10, step_s: float = 0.01):
    """Wait for something, and fail when it doesn't come."""
    end = time.monotonic() + most_s
    while not (found := happened()):
        assert time.monotonic() < end, "what the test waits for didn't happen"
        time.sleep(step_s)
    return found


def error_of(answer: requests.Response, status: int) -> dict:
    """What is in the body of a refusal."""
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


class ScriptedEngine(Engine):
    """Says its words, one token each, at a pace: `pace_s` between two, or only as `step` is released."""

    engine, precision, context = "onnx", "int8", 4096

    def __init__(self, *words: str, seats: int = 1, pace_s: float = 0.0, stepwise: bool = False, fault=None,
                 sees: bool = False):  # fmt: skip
        super().__init__(card("smollm2-135m"))
        self.words, self.seats, self.pace_s, self.fault = words or ("Hello", " there"), seats, pace_s, fault
        self.step = threading.Semaphore(0) if stepwise else None
        self.format, self.sees = self, sees
        self.asked: list[str] = []
        self.open = 0  # answers that are being written
        self.left = 0  # answers whose reader went before their end
        self._count = threading.Lock()

    def ids(self, text: str) -> list[int]:
        return list(range(len(text)))

    def _answer(self, messages, sampling, on_end) -> Reply:
        pictures = [f"{one.width} x {one.height}" for message in messages for one in message.images]
        text = "\n".join([*pictures, *(one.content for one in as_messages(messages))])
        if len(text) > self.context:
            raise BadRequest(f"The prompt has {len(text)} tokens and {self.name} holds {self.context}.")
        self.asked.append(text)
        return Reply(lambda: self._events(text, sampling), self.name)

    def _events(self, text: str, sampling):
        self._add(open=1)
        finished = False
        try:
            yield Start(time.perf_counter(), len(text))
            for id, word in enumerate(self.words[: sampling.max_tokens]):
                if self.step:
                    self.step.acquire(timeout=10)
                time.sleep(self.pace_s)
                if self.fault and id == len(self.words) - 1:
                    raise self.fault
                yield Token(id, word, time.perf_counter())
            finished = True
            yield End(time.perf_counter(), "end" if len(self.words) <= sampling.max_tokens else "length")
        finally:
            self._add(open=-1, left=not finished)

    def _add(self, **changes):
        with self._count:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)


def png(width: int = 8, height: int = 6) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def png_url(data: bytes | None = None) -> str:
    return "data:image/png;base64," + base64.b64encode(data or png()).decode()

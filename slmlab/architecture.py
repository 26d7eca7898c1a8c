"""The shape of a decoder, and what follows from it by arithmetic: parameters, bytes, cost of a token.

Knows nothing about models by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from slmlab.errors import BadRequest

PRECISIONS = ("fp32", "bf16", "int8", "int4")  # of every model; Card.precisions adds q4 where there is a wheel
_CACHE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_EXPERT_COUNTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def known_precision(precision: str, known=PRECISIONS) -> None:
    if precision not in known:
        raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(known)}.")


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
    parts: tuple = ()  # beside the language model: an image encoder, a projector, an adapter

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
        known_precision(precision, _CACHE_BYTES)
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
    known_precision(precision)
    if precision in ("fp32", "bf16"):
        return (matrices + plain + extra) * (4 if precision == "fp32" else 2)
    bits = 8 if precision == "int8" else 4
    return matrices * bits // 8 + -(-matrices // block) * 4 + plain * 4 + extra * 2


def is_mixture(settings: Mapping) -> bool:
    """Whether a model's configuration names more than one expert, at any depth and under any of the usual names."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and is_mixture(value):
            return True
        counts = value if isinstance(value, list | tuple) else [value]
        if key in _EXPERT_COUNTS and any(isinstance(one, int) and one > 1 for one in counts):
            return True
    return False


def shape_of(settings: Mapping) -> Architecture | None:
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

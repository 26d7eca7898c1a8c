"""The shape of a decoder, and what follows from it by arithmetic: parameters, bytes, cost of a token.

Knows nothing about models by name.
"""

from dataclasses import dataclass

from slmlab.errors import BadRequest

PRECISIONS = ("fp32", "bf16", "int8", "int4")  # of every model; one in a wheel is in q4 too
_PLAIN_BYTES = {"fp32": 4, "bf16": 2}


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
    parts: tuple = ()  # beside the language model: an image encoder, a projector, an adapter

    def __post_init__(self):
        object.__setattr__(self, "head_size", self.head_size or self.hidden // self.heads)

    @property
    def expert_parameters(self) -> int:
        """One feed-forward block of one layer: gate, up and down."""
        return 3 * self.hidden * self.ffn + (2 * self.ffn + self.hidden if self.mlp_bias else 0)

    @property
    def attention_parameters(self) -> int:
        """Queries, keys, values and output of one layer."""
        return 2 * self.hidden * (self.heads + self.kv_heads) * self.head_size + self._attention_biases

    @property
    def _attention_biases(self) -> int:
        return (self.heads + 2 * self.kv_heads) * self.head_size + self.hidden if self.attention_bias else 0

    @property
    def norm_parameters(self) -> int:
        """Two norms a layer and one at the end; a layer norm has a bias beside its weight, an RMS norm has none."""
        return (2 * self.layers + 1) * self.hidden * (2 if self.norm == "layer" else 1)

    @property
    def embedding_parameters(self) -> int:
        return self.vocab * self.hidden

    @property
    def text_parameters(self) -> int:
        """The language model alone; tied embeddings count once."""
        router = self.hidden * self.experts if self.experts > 1 else 0
        layer = self.attention_parameters + self.experts * self.expert_parameters + router
        head = (0 if self.tied else self.embedding_parameters) + (self.vocab if self.head_bias else 0)
        return self.embedding_parameters + self.layers * layer + self.norm_parameters + head

    @property
    def parameters(self) -> int:
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
        """What one more token of context costs: a key and a value per layer and key-value head."""
        return 2 * self.layers * self.kv_heads * self.head_size * _PLAIN_BYTES[precision]

    def weight_bytes(self, precision: str, *, block: int = 32, shared_embedding: bool = False) -> int:
        """The weights in a precision, with the extra parts. A quantized file holds the table that turns ids into
        vectors in fp32, for it is looked up, unless a tied head lends its 4-bit matrix for it (`shared_embedding`)."""
        if precision in _PLAIN_BYTES:
            return self.parameters * _PLAIN_BYTES[precision]
        table = 0 if shared_embedding and precision == "int4" else self.embedding_parameters * 4
        parts = sum(part.parameters for part in self.parts) * 2  # they stay 16-bit
        return self._read(self.text_parameters, precision, block) + table + parts

    def read_bytes(self, precision: str) -> int:
        """What is read from memory to write one token: each matrix that works on it once, idle experts not at all, and
        of the table that turns ids into vectors one row, unless the table serves as the output head too."""
        return self._read(self.active_parameters, precision)

    def _read(self, parameters: int, precision: str, block: int = 32) -> int:
        """The bytes of so many parameters, less an untied table. int8 and int4 are what ONNX Runtime's builder writes:
        each block of a matrix shares one fp32 scale, so of 32 a weight takes 4 + 32/32 = 5 bits. The rest is fp32."""
        if precision not in PRECISIONS:
            raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
        parameters -= 0 if self.tied else self.embedding_parameters
        if precision in _PLAIN_BYTES:
            return parameters * _PLAIN_BYTES[precision]
        biases = self._attention_biases + self.experts * (self.expert_parameters - 3 * self.hidden * self.ffn)
        vectors = self.norm_parameters + self.layers * biases + (self.vocab if self.head_bias else 0)
        matrices = parameters - vectors
        packed = matrices if precision == "int8" else matrices // 2
        return packed + -(-matrices // block) * 4 + vectors * 4

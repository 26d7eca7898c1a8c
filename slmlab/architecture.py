"""The shape of a decoder, and what follows from it by arithmetic: parameters, bytes, cost of a token."""

from dataclasses import dataclass

PRECISIONS = ("fp32", "bf16", "int8", "int4")  # of every model; one in a wheel is in q4 too
_PLAIN_BYTES = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True)
class Architecture:
    """Layers and widths as a model's configuration gives them, and the parameters that its class has with them."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    text_parameters: int  # of the language model alone; tied embeddings count once
    head_size: int | None = None
    tied: bool = False
    experts: int = 1
    experts_per_token: int = 1
    window: int | None = None  # how many of the last tokens a sliding layer sees
    windowed: int = 0  # sliding layers; the others see the whole text
    linear: int = 0  # layers of linear attention: a state of one size, and no keys and values
    parts: tuple = ()  # beside the language model: an image encoder, a projector, an adapter

    def __post_init__(self):
        object.__setattr__(self, "head_size", self.head_size or self.hidden // self.heads)

    @property
    def expert_parameters(self) -> int:
        """One feed-forward block of one layer: gate, up and down."""
        return 3 * self.hidden * self.ffn

    @property
    def attention_parameters(self) -> int:
        """Queries, keys, values and output of one layer."""
        return 2 * self.hidden * (self.heads + self.kv_heads) * self.head_size

    @property
    def embedding_parameters(self) -> int:
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        return self.text_parameters + sum(part.parameters for part in self.parts)

    @property
    def active_parameters(self) -> int:
        """What one token of text goes through: the language model, less the experts that the router leaves out."""
        idle = self.experts - self.experts_per_token
        return self.text_parameters - self.layers * idle * self.expert_parameters

    @property
    def pattern(self) -> list[bool]:
        """For each layer, whether it sees the whole text: such a layer ends a group of those that don't."""
        whole = self.layers - self.windowed - self.linear
        group = self.layers // whole if whole else self.layers + 1
        return [place % group == 0 for place in range(1, self.layers + 1)]

    @property
    def sight(self) -> str:
        """How many layers there are, and how many of them don't see the whole text."""
        words = [f"{self.layers} layers"]
        words += [f"{self.windowed} see the last {self.window:,} tokens"] if self.windowed else []
        words += [f"{self.linear} of linear attention"] if self.linear else []
        return ", ".join(words)

    @property
    def by_part(self) -> dict[str, int]:
        """The parameters of the language model by what they do; the norms, which are few, are with attention."""
        table, feed_forward = self.embedding_parameters, self.layers * self.experts * self.expert_parameters
        ends = {"embedding and output head": table} if self.tied else {"embedding": table, "output head": table}
        attention = self.text_parameters - sum(ends.values()) - feed_forward
        return ends | {"attention": attention, "feed-forward": feed_forward}

    def kv_bytes(self, tokens: int, precision: str = "bf16") -> int:
        """A key and a value per token, layer and key-value head; a sliding layer drops what has left its window."""
        kept = sum(self.pattern) * tokens + self.windowed * min(tokens, self.window or tokens)
        return 2 * kept * self.kv_heads * self.head_size * _PLAIN_BYTES[precision]

    def weight_bytes(self, precision: str) -> int:
        """The weights in a precision, with the extra parts. A quantized file holds the table that turns ids into
        vectors in fp32, for it is looked up, unless a tied head lends its 4-bit matrix for it."""
        if precision in _PLAIN_BYTES:
            return self.parameters * _PLAIN_BYTES[precision]
        table = 0 if self.tied and precision == "int4" else self.embedding_parameters * 4
        parts = sum(part.parameters for part in self.parts) * 2  # they stay 16-bit
        return self._read(self.text_parameters, precision) + table + parts

    def read_bytes(self, precision: str) -> int:
        """What is read from memory to write one token: each matrix that works on it once, idle experts not at all, and
        of the table that turns ids into vectors one row, unless the table serves as the output head too."""
        return self._read(self.active_parameters, precision)

    def _read(self, parameters: int, precision: str) -> int:
        """The bytes of so many parameters, less an untied table. int8 and int4 are what ONNX Runtime's builder writes:
        32 weights share one fp32 scale, so a weight in int4 takes 4 + 32/32 = 5 bits."""
        sizes = {**_PLAIN_BYTES, "int8": 1 + 4 / 32, "int4": 0.5 + 4 / 32}
        return int((parameters - (0 if self.tied else self.embedding_parameters)) * sizes[precision])

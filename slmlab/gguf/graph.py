"""A Llama-shaped GGUF file as an ONNX graph that computes with the file's own blocks: nothing is rounded a second time.

ONNX Runtime's fast kernel for 4 bits takes blocks with a whole number for zero, and a GGUF block has any minimum. So
weight = scale * (number - zero) + rest. The rests are constant over a block, so they meet only the sum of its inputs:
the input is made longer by the mean of each of its blocks, and the matrix by a column of rests for each. Both go on
with zeros to the next multiple of four blocks: the kernel reads prompts a third faster then. Knows nothing of
tokenizers or folders.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slmlab.errors import NotHere
from slmlab.gguf.blocks import SIZE, Blocks, read_blocks, stacked, with_rotary_halves

DATA = "model.onnx.data"
RUNTIME = "com.microsoft"  # the domain of ONNX Runtime's own operators
ALIGNED = 64
SMALL = 1024  # bytes that stay in the graph itself


class OnnxFile:
    """A graph and its data file. `save` may be called for several graphs over the same weights."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._data = (folder / DATA).open("wb")
        self._nodes: dict[str, object] = {}  # by their first output
        self._constants: dict[str, object] = {}

    def node(self, operator: str, inputs: list[str], outputs: str | list[str], **attributes) -> str:
        """Add a node, or put it in the place of the one that gave this output before; gives its first output's name.

        An operator of the runtime's own is written runtime:Name."""
        from onnx import helper

        domain, _, plain = operator.rpartition(":")
        outputs = [outputs] if isinstance(outputs, str) else outputs
        domain = RUNTIME if domain else ""
        made = helper.make_node(plain, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self._nodes[outputs[0]] = made
        return outputs[0]

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add an array once under a name; gives the name."""
        from onnx import TensorProto, helper, numpy_helper

        if name in self._constants:
            return name
        array = np.ascontiguousarray(array)
        if array.nbytes < SMALL:
            self._constants[name] = numpy_helper.from_array(array, name)
            return name
        self._data.write(bytes(-self._data.tell() % ALIGNED))
        tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", DATA), ("offset", self._data.tell()), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(array.data)
        self._constants[name] = tensor
        return name

    def save(self, name: str, inputs: list, outputs: list) -> None:
        """Write the graph as it stands, with (name, kind, shape) of what goes in and comes out."""
        from onnx import helper

        used = {one for node in self._nodes.values() for one in node.input}
        constants = [tensor for key, tensor in self._constants.items() if key in used]
        sides = ([helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs))
        graph = helper.make_graph(list(self._nodes.values()), "model", *sides, constants)
        versions = [helper.make_opsetid("", 21), helper.make_opsetid(RUNTIME, 1)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=10, producer_name="slmlab")
        self._data.flush()
        (self.folder / name).write_bytes(model.SerializeToString())

    def close(self) -> None:
        self._data.close()


STRIDE = 4 * SIZE  # columns that the kernel takes at a time when it reads many ids
EVERY = "every.onnx"  # the graph beside model.onnx whose logits are those after every id


@dataclass(frozen=True)
class LlamaShape:
    """The figures of a Llama-shaped model, from a GGUF file's fields."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    vocab: int
    context: int
    epsilon: float
    rope_base: float

    @classmethod
    def of(cls, fields: dict) -> "LlamaShape":
        names = {
            "layers": "block_count", "hidden": "embedding_length", "heads": "attention.head_count",
            "kv_heads": "attention.head_count_kv", "vocab": "vocab_size", "context": "context_length",
            "epsilon": "attention.layer_norm_rms_epsilon", "rope_base": "rope.freq_base",
        }  # fmt: skip
        missing = [key for key in names.values() if f"llama.{key}" not in fields]
        if missing:
            raise NotHere(f"The file doesn't say its llama.{missing[0]}. Fetch it again, or a newer version of it.")
        return cls(**{name: fields[f"llama.{key}"] for name, key in names.items()})

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


class LlamaGraph:
    """The graph while it is written, layer after layer."""

    def __init__(self, file: OnnxFile, tensors: dict, shape: LlamaShape):
        self.file, self.tensors, self.shape = file, tensors, shape
        self._made: set[str] = set()  # zeros, by width

    def write(self) -> None:
        """The whole decoder in two graphs over the same weights: for writing on, with the logits after the last id
        alone, and with those after every id."""
        self._lengths()
        self._rotation()
        stream, added = self._embedded(), None
        for layer in range(self.shape.layers):
            here = f"blk.{layer}"
            stream, normed = self._normed(f"{here}.attn_norm", stream, added)
            stream, normed = self._normed(f"{here}.ffn_norm", stream, self._attention(layer, normed))
            added = self._feed_forward(here, normed)
        _, normed = self._normed("output_norm", stream, added)
        last = self.file.constant("last", np.array([-1], np.int64))
        self._logits(self.file.node("Gather", [normed, last], "judged", axis=1))
        self._save("model.onnx")
        self.file.node("Identity", [normed], "judged")
        self._save(EVERY)

    def _save(self, name: str) -> None:
        shape = self.shape
        layers = [f"{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
        memory = ["batch", shape.kv_heads, "places", shape.head_size]
        inputs = [("input_ids", _INT64, ["batch", "ids"]), ("attention_mask", _INT64, ["batch", "all_ids"])]
        inputs += [(f"past_key_values.{one}", _FLOAT, memory) for one in layers]
        outputs = [("logits", _FLOAT, ["batch", "judged", shape.vocab])]
        outputs += [(f"present.{one}", _FLOAT, memory) for one in layers]
        self.file.save(name, inputs, outputs)

    def _lengths(self) -> None:
        """How many ids each row holds, and the longest row: what the runtime's attention asks for."""
        node, constant = self.file.node, self.file.constant
        one = constant("one", np.array([1], np.int64))
        node("ReduceSum", ["attention_mask", one], "length", keepdims=0)
        node("Sub", ["length", one], "last_place")
        node("Cast", ["last_place"], "last_place_32", to=_INT32)
        node("Shape", ["attention_mask"], "mask_shape")
        node("Gather", ["mask_shape", constant("width", np.array(1, np.int64))], "longest", axis=0)
        node("Cast", ["longest"], "longest_32", to=_INT32)

    def _rotation(self) -> None:
        size = self.shape.head_size
        turns = 1 / self.shape.rope_base ** (np.arange(0, size, 2) / size)
        angles = np.outer(np.arange(self.shape.context), turns)
        self.file.constant("cosines", np.cos(angles).astype(np.float32))
        self.file.constant("sines", np.sin(angles).astype(np.float32))

    def _embedded(self) -> str:
        """The embedding's rows, read out of the same 8-bit blocks that give the logits."""
        table = read_blocks(self.tensors["token_embd.weight"])
        if table.bits != 8 or "output.weight" in self.tensors:
            raise NotHere(
                "The file's embedding has to be Q8_0 and serve as its head too, as in SmolLM2's files in Q4_0 and Q4_1."
            )
        self._table = numbers, scales = self._stored("token_embd", table.numbers, table.scales, table.bits)
        flat = self.file.constant("embedding_shape", np.array([table.rows, table.columns], np.int64))
        self.file.node("Reshape", [numbers, flat], "embedding")
        return self.file.node(
            "runtime:GatherBlockQuantized", ["embedding", "input_ids", scales], "embedded",
            bits=8, block_size=SIZE, gather_axis=0, quantize_axis=1,
        )  # fmt: skip

    def _normed(self, name: str, stream: str, added: str | None) -> tuple[str, str]:
        """What is added goes into the stream; the stream, and the stream at one size."""
        weight = self.file.constant(f"{name}.weight", self.tensors[f"{name}.weight"].data.astype(np.float32))
        epsilon = self.shape.epsilon
        if added is None:
            how = {"axis": -1, "stash_type": 1, "epsilon": epsilon}
            return stream, self.file.node("SimplifiedLayerNormalization", [stream, weight], name, **how)
        outputs = [name, "", "", f"{name}.stream"]
        self.file.node("runtime:SkipSimplifiedLayerNormalization", [stream, added, weight], outputs, epsilon=epsilon)
        return f"{name}.stream", name

    def _attention(self, layer: int, normed: str) -> str:
        shape, here = self.shape, f"blk.{layer}"
        query, key, value = (read_blocks(self.tensors[f"{here}.attn_{one}.weight"]) for one in "qkv")
        parts = [with_rotary_halves(query, shape.heads), with_rotary_halves(key, shape.kv_heads), value]
        packed = self._linear(f"{here}.attn_qkv", normed, stacked(parts))
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        self.file.node(
            "runtime:GroupQueryAttention",
            [packed, "", "", *past, "last_place_32", "longest_32", "cosines", "sines"], [f"{here}.attention", *present],
            num_heads=shape.heads, kv_num_heads=shape.kv_heads, scale=shape.head_size**-0.5, do_rotary=1,
        )  # fmt: skip
        return self._linear(f"{here}.attn_output", f"{here}.attention")

    def _feed_forward(self, here: str, normed: str) -> str:
        """Gate and up are one matrix: a matrix twice as long is read faster than two."""
        node = self.file.node
        both = stacked([read_blocks(self.tensors[f"{here}.ffn_{one}.weight"]) for one in ("gate", "up")])
        gate, up = f"{here}.ffn_gate", f"{here}.ffn_up"
        node("Split", [self._linear(f"{here}.ffn_gate_up", normed, both)], [gate, up], axis=-1, num_outputs=2)
        node("runtime:QuickGelu", [gate], f"{gate}.silu", alpha=1.0)
        node("Mul", [f"{gate}.silu", up], f"{here}.ffn_product")
        return self._linear(f"{here}.ffn_down", f"{here}.ffn_product")

    def _logits(self, normed: str) -> None:
        self._matmul("logits", [normed, *self._table], self.shape.vocab, self.shape.hidden, bits=8)

    # A matrix of blocks

    def _linear(self, name: str, given: str, matrix: Blocks | None = None) -> str:
        matrix = matrix or read_blocks(self.tensors[f"{name}.weight"])
        zeros = np.clip(np.rint(-matrix.minimums / np.where(matrix.scales, matrix.scales, 1)), 0, 2**matrix.bits - 1)
        rests = matrix.minimums + matrix.scales * zeros
        numbers, scales, columns = matrix.numbers, matrix.scales, matrix.columns
        if rests.any():
            columns += matrix.columns // SIZE
            empty = -columns % STRIDE
            given = self._longer(given, empty)
            columns += empty
            beside = _rounded(np.pad(rests * SIZE, ((0, 0), (0, empty))), matrix.bits)
            pairs = zip((numbers, scales, zeros), beside, strict=True)
            numbers, scales, zeros = (np.concatenate(pair, axis=1) for pair in pairs)
        stored = self._stored(name, numbers, scales, matrix.bits)
        packed = _packed(zeros.astype(np.uint8), matrix.bits)
        inputs = [given, *stored, self.file.constant(f"{name}.zeros", packed.reshape(-1))]
        return self._matmul(name, inputs, matrix.rows, columns, matrix.bits)

    def _longer(self, given: str, empty: int) -> str:
        """The input, the mean of each of its blocks, and zeros."""
        self.file.node("AveragePool", [given], f"{given}.means", kernel_shape=[SIZE], strides=[SIZE])
        parts = [given, f"{given}.means", *([self._zeros(empty)] if empty else [])]
        return self.file.node("Concat", parts, f"{given}.longer", axis=-1)

    def _zeros(self, width: int) -> str:
        """Zeros for each id, made once a run: as many rows as there are ids, which the graph learns only then."""
        name = f"zeros.{width}"
        if name not in self._made:
            ends = [self.file.constant(f"column.{end}", np.array([end], np.int64)) for end in (0, 1, 2)]
            row = self.file.constant(f"{name}.row", np.zeros(width, np.float32))
            self.file.node("Slice", ["embedded", *ends], f"{name}.rows")
            self.file.node("Mul", [f"{name}.rows", row], name)
            self._made.add(name)
        return name

    def _stored(self, name: str, numbers: np.ndarray, scales: np.ndarray, bits: int) -> tuple[str, str]:
        """Numbers and scales in the file; the scales in 16 bits, as in GGUF: the runtime widens them when it loads."""
        stored = self.file.constant(f"{name}.numbers", _packed(numbers, bits))
        half = self.file.constant(f"{name}.scales.half", scales.astype(np.float16))
        return stored, self.file.node("Cast", [half], f"{name}.scales", to=_FLOAT)

    def _matmul(self, name: str, inputs: list[str], rows: int, columns: int, bits: int) -> str:
        how = {"K": columns, "N": rows, "bits": bits, "block_size": SIZE, "accuracy_level": 4}
        return self.file.node("runtime:MatMulNBits", inputs, name, **how)


_FLOAT, _INT32, _INT64 = 1, 6, 7  # of onnx.TensorProto


def _packed(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Two numbers of 4 bits in a byte, along the last axis; those of 8 bits as they are."""
    if bits == 8:
        return numbers
    if numbers.shape[-1] % 2:
        numbers = np.concatenate([numbers, np.zeros_like(numbers[..., :1])], axis=-1)
    return numbers[..., 0::2] | numbers[..., 1::2] << 4


def _rounded(values: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Any matrix in blocks of numbers, with a scale (of 16 bits) and a whole number for zero each."""
    rows, columns = values.shape
    most, blocks = 2**bits - 1, -(-columns // SIZE)
    padded = np.zeros((rows, blocks * SIZE), np.float32)
    padded[:, :columns] = values
    padded = padded.reshape(rows, blocks, SIZE)
    low, high = np.minimum(padded.min(axis=-1), 0), np.maximum(padded.max(axis=-1), 0)
    zeros = np.rint(most * -low / np.maximum(high - low, 1e-30))
    below, above = -low / np.maximum(zeros, 1e-9), high / np.maximum(most - zeros, 1e-9)
    scales = np.maximum(np.where(zeros > 0, below, 0), np.where(zeros < most, above, 0))
    scales = scales.astype(np.float16).astype(np.float32)
    scales = np.where(scales > 0, scales, 1)
    numbers = np.clip(np.rint(padded / scales[..., None]) + zeros[..., None], 0, most).astype(np.uint8)
    return numbers, scales, zeros

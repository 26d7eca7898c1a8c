"""A Llama-shaped GGUF file as an ONNX graph that computes with the file's own blocks: nothing is rounded a second time.

ONNX Runtime's fast kernel for 4 bits takes blocks with a whole number for zero (a float zero point is 28 times slower),
and a GGUF block has any minimum. So weight = scale * (number - zero) + rest. The rests are constant over a block, so
they meet only the sum of its inputs: the input is made longer by the mean of each of its blocks, and the matrix by a
column of rests for each. Both go on with zeros to the next multiple of four blocks: the kernel reads prompts a third
faster then. Knows nothing of tokenizers.
"""

from pathlib import Path

import numpy as np
import onnx_ir as ir

from slmlab.errors import NotHere
from slmlab.gguf import EVERY
from slmlab.gguf.blocks import SIZE, Blocks, read_blocks, stacked, with_rotary_halves

DATA = "model.onnx.data"
RUNTIME = "com.microsoft"  # the domain of ONNX Runtime's own operators
STRIDE = 4 * SIZE  # columns that the kernel takes at a time when it reads many ids
FLOAT, INT32, INT64 = ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64


class LlamaGraph:
    """The graph while it is written, layer after layer; `config` is that of a Llama in Hugging Face's words."""

    def __init__(self, tensors: dict, config: dict):
        self.tensors = tensors
        self.layers, self.hidden = config["num_hidden_layers"], config["hidden_size"]
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_size, self.vocab = config["head_dim"], config["vocab_size"]
        self.context, self.epsilon = config["max_position_embeddings"], config["rms_norm_eps"]
        self.rope_base = config["rope_parameters"]["rope_theta"]
        self.tape = ir.tape.Tape()
        self.ids = ir.val("input_ids", INT64, ["batch", "ids"])
        self.mask = ir.val("attention_mask", INT64, ["batch", "all_ids"])
        self._zeros: dict[int, ir.Value] = {}  # by width

    def save(self, folder: Path) -> None:
        """Two graphs over the same weights: one to write with, whose logits are those after the last id alone, and
        one to score a text with, whose logits are those after every id."""
        past, present, normed = self._decoder()
        last = self._op("Gather", [normed, self._constant("last", np.array([-1], np.int64))], "judged", axis=1)
        logits = self._matmul("logits", [last, *self._table], self.vocab, self.hidden, bits=8)
        logits.dtype, logits.shape = FLOAT, ir.Shape(["batch", "judged", self.vocab])
        inputs, outputs = [self.ids, self.mask, *past], [logits, *present]
        versions = {"": 21, RUNTIME: 1}
        weights, nodes = self.tape.initializers, self.tape.nodes
        graph = ir.Graph(inputs, outputs, nodes=nodes, initializers=weights, opset_imports=versions, name="model")
        model = ir.Model(graph, ir_version=10, producer_name="slmlab")
        ir.external_data.unload_from_model(model, folder, DATA, size_threshold_bytes=1000)
        ir.save(model, folder / "model.onnx")
        last.replace_all_uses_with(normed)
        graph.remove(last.producer(), safe=True)
        del graph.initializers["last"]
        ir.save(model, folder / EVERY)

    def _decoder(self) -> tuple[list[ir.Value], list[ir.Value], ir.Value]:
        """The layers over the embedded ids: the KV cache that goes in, that which comes out, and the last stream."""
        self._lengths()
        self._rotation()
        stream, added = self._embedded(), None
        past, present = [], []
        for layer in range(self.layers):
            here = f"blk.{layer}"
            past += [self._memory(f"past_key_values.{layer}.{part}") for part in ("key", "value")]
            present += [self._memory(f"present.{layer}.{part}") for part in ("key", "value")]
            stream, normed = self._normed(f"{here}.attn_norm", stream, added)
            added = self._attention(here, normed, past[-2:], present[-2:])
            stream, normed = self._normed(f"{here}.ffn_norm", stream, added)
            added = self._feed_forward(here, normed)
        return past, present, self._normed("output_norm", stream, added)[1]

    def _memory(self, name: str) -> ir.Value:
        return ir.val(name, FLOAT, ["batch", self.kv_heads, "places", self.head_size])

    # Nodes and weights by their names

    def _op(self, operator: str, inputs: list, name: str, domain: str = "", **attributes) -> ir.Value:
        output = ir.Value(name=name)
        return self.tape.op(operator, inputs, attributes, domain=domain, name=name, output=output)

    def _runtime_op(self, operator: str, inputs: list, name: str, **attributes) -> ir.Value:
        return self._op(operator, inputs, name, RUNTIME, **attributes)

    def _constant(self, name: str, array: np.ndarray) -> ir.Value:
        return self.tape.initializer(ir.tensor(np.ascontiguousarray(array), name=name))

    # The parts of a layer

    def _lengths(self) -> None:
        """How many ids each row holds, and the longest row: what the runtime's attention asks for."""
        one = self._constant("one", np.array([1], np.int64))
        length = self._op("ReduceSum", [self.mask, one], "length", keepdims=0)
        last = self._op("Sub", [length, one], "last_place")
        self._last_place = self._op("Cast", [last], "last_place_32", to=INT32)
        shape = self._op("Shape", [self.mask], "mask_shape")
        width = self._constant("width", np.array(1, np.int64))
        longest = self._op("Gather", [shape, width], "longest", axis=0)
        self._longest = self._op("Cast", [longest], "longest_32", to=INT32)

    def _rotation(self) -> None:
        turns = 1 / self.rope_base ** (np.arange(0, self.head_size, 2) / self.head_size)
        angles = np.outer(np.arange(self.context), turns)
        self._cosines = self._constant("cosines", np.cos(angles).astype(np.float32))
        self._sines = self._constant("sines", np.sin(angles).astype(np.float32))

    def _embedded(self) -> ir.Value:
        """The embedding's rows, read out of the same 8-bit blocks that give the logits."""
        table = read_blocks(self.tensors["token_embd.weight"])
        if table.bits != 8 or "output.weight" in self.tensors:
            raise NotHere(
                "The file's embedding has to be Q8_0 and serve as its head too, as in SmolLM2's files in Q4_0 and Q4_1."
            )
        self._table = numbers, scales = self._stored("token_embd", table.numbers, table.scales, table.bits)
        flat = self._constant("embedding_shape", np.array([table.rows, table.columns], np.int64))
        rows = self._op("Reshape", [numbers, flat], "embedding")
        how = {"bits": 8, "block_size": SIZE, "gather_axis": 0, "quantize_axis": 1}
        self._stream = self._runtime_op("GatherBlockQuantized", [rows, self.ids, scales], "embedded", **how)
        return self._stream

    def _normed(self, name: str, stream: ir.Value, added: ir.Value | None) -> tuple[ir.Value, ir.Value]:
        """What is added goes into the stream; the stream, and the stream at one size."""
        weight = self._constant(f"{name}.weight", self.tensors[f"{name}.weight"].data.astype(np.float32))
        how = {"epsilon": self.epsilon}
        if added is None:
            inputs = [stream, weight]
            return stream, self._op("SimplifiedLayerNormalization", inputs, name, axis=-1, stash_type=1, **how)
        outputs = [ir.Value(name=one) for one in (name, "", "", f"{name}.stream")]
        inputs = [stream, added, weight]
        operator = "SkipSimplifiedLayerNormalization"
        self.tape.op_multi_out(operator, inputs, how, outputs=outputs, domain=RUNTIME, name=name)
        return outputs[3], outputs[0]

    def _attention(self, here: str, normed: ir.Value, past: list[ir.Value], present: list[ir.Value]) -> ir.Value:
        query, key, value = (read_blocks(self.tensors[f"{here}.attn_{one}.weight"]) for one in "qkv")
        parts = [with_rotary_halves(query, self.heads), with_rotary_halves(key, self.kv_heads), value]
        packed = self._linear(f"{here}.attn_qkv", normed, stacked(parts))
        inputs = [packed, None, None, *past, self._last_place, self._longest, self._cosines, self._sines]
        outputs = [ir.Value(name=f"{here}.attention"), *present]
        how = {"num_heads": self.heads, "kv_num_heads": self.kv_heads, "scale": self.head_size**-0.5, "do_rotary": 1}
        self.tape.op_multi_out(
            "GroupQueryAttention", inputs, how, outputs=outputs, domain=RUNTIME, name=outputs[0].name
        )
        return self._linear(f"{here}.attn_output", outputs[0])

    def _feed_forward(self, here: str, normed: ir.Value) -> ir.Value:
        """Gate and up are one matrix: a matrix twice as long is read faster than two."""
        both = stacked([read_blocks(self.tensors[f"{here}.ffn_{one}.weight"]) for one in ("gate", "up")])
        halves = gate, up = ir.Value(name=f"{here}.ffn_gate"), ir.Value(name=f"{here}.ffn_up")
        product = self._linear(f"{here}.ffn_gate_up", normed, both)
        self.tape.op_multi_out("Split", [product], {"axis": -1, "num_outputs": 2}, outputs=halves, name=gate.name)
        silu = self._runtime_op("QuickGelu", [gate], f"{gate.name}.silu", alpha=1.0)
        return self._linear(f"{here}.ffn_down", self._op("Mul", [silu, up], f"{here}.ffn_product"))

    # A matrix of blocks

    def _linear(self, name: str, given: ir.Value, matrix: Blocks | None = None) -> ir.Value:
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
        packed = _packed(zeros.astype(np.uint8), matrix.bits).reshape(-1)
        inputs = [given, *stored, self._constant(f"{name}.zeros", packed)]
        return self._matmul(name, inputs, matrix.rows, columns, matrix.bits)

    def _longer(self, given: ir.Value, empty: int) -> ir.Value:
        """The input, the mean of each of its blocks, and zeros."""
        means = self._op("AveragePool", [given], f"{given.name}.means", kernel_shape=[SIZE], strides=[SIZE])
        parts = [given, means, *([self._zero_columns(empty)] if empty else [])]
        return self._op("Concat", parts, f"{given.name}.longer", axis=-1)

    def _zero_columns(self, width: int) -> ir.Value:
        """Zeros for each id, made once a run: as many rows as there are ids, which the graph learns only then."""
        if width not in self._zeros:
            name = f"zeros.{width}"
            ends = [self._constant(f"{name}.{end}", np.array([end], np.int64)) for end in (0, 1, 2)]
            column = self._op("Slice", [self._stream, *ends], f"{name}.column")
            row = self._constant(f"{name}.row", np.zeros(width, np.float32))
            self._zeros[width] = self._op("Mul", [column, row], name)
        return self._zeros[width]

    def _stored(self, name: str, numbers: np.ndarray, scales: np.ndarray, bits: int) -> tuple[ir.Value, ir.Value]:
        """Numbers and scales in the file; the scales in 16 bits, as in GGUF: the runtime widens them when it loads."""
        stored = self._constant(f"{name}.numbers", _packed(numbers, bits))
        half = self._constant(f"{name}.scales.half", scales.astype(np.float16))
        return stored, self._op("Cast", [half], f"{name}.scales", to=FLOAT)

    def _matmul(self, name: str, inputs: list, rows: int, columns: int, bits: int) -> ir.Value:
        how = {"K": columns, "N": rows, "bits": bits, "block_size": SIZE, "accuracy_level": 4}
        return self._runtime_op("MatMulNBits", inputs, name, **how)


def _packed(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Two numbers of 4 bits in a byte, along the last axis; those of 8 bits as they are."""
    if bits == 8:
        return numbers
    if numbers.shape[-1] % 2:
        numbers = np.concatenate([numbers, np.zeros_like(numbers[..., :1])], axis=-1)
    return numbers[..., 0::2] | numbers[..., 1::2] << 4


def _rounded(values: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Any matrix in blocks of numbers, with a scale (of 16 bits) and a whole number for zero each."""
    most = 2**bits - 1
    blocks = values.reshape(len(values), -1, SIZE)
    low, high = np.minimum(blocks.min(axis=-1), 0), np.maximum(blocks.max(axis=-1), 0)
    zeros = np.rint(most * -low / np.maximum(high - low, 1e-30))
    below, above = -low / np.maximum(zeros, 1e-9), high / np.maximum(most - zeros, 1e-9)
    scales = np.maximum(np.where(zeros > 0, below, 0), np.where(zeros < most, above, 0))
    scales = scales.astype(np.float16).astype(np.float32)
    scales = np.where(scales > 0, scales, 1)
    numbers = np.clip(np.rint(blocks / scales[..., None]) + zeros[..., None], 0, most).astype(np.uint8)
    return numbers, scales, zeros

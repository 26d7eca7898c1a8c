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

RUNTIME = "com.microsoft"  # the domain of ONNX Runtime's own operators
STRIDE = 4 * SIZE  # columns that the kernel takes at a time when it reads many ids
FLOAT, INT32, INT64 = ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64


class LlamaGraph:
    """The graph while it is written, layer after layer; `config` is a Llama's, in Hugging Face's words."""

    def __init__(self, tensors: dict, config: dict):
        self.tensors, self.config = tensors, config
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.head_size = config["head_dim"]
        self.epsilon = {"epsilon": config["rms_norm_eps"]}
        self.tape = ir.tape.Tape()
        self.ids = ir.val("input_ids", INT64, ["batch", "ids"])
        self.mask = ir.val("attention_mask", INT64, ["batch", "all_ids"])
        names = [f"{layer}.{part}" for layer in range(config["num_hidden_layers"]) for part in ("key", "value")]
        shape = ["batch", self.kv_heads, "places", self.head_size]
        self.past = [ir.val(f"past_key_values.{name}", FLOAT, shape) for name in names]
        self.present = [ir.val(f"present.{name}", FLOAT, shape) for name in names]
        self.zeros: dict[int, ir.Value] = {}  # by width

    def save(self, folder: Path) -> None:
        """Two graphs over the same weights: one to write with, and one to score a text with (logits after every id)."""
        hidden = self._decoder()
        last = self._op("Gather", [hidden, self._constant("last", np.array([-1], np.int64))], axis=1)
        logits = self._matmul([last, *self.table], self.config["vocab_size"], self.config["hidden_size"], bits=8)
        logits.name, logits.dtype = "logits", FLOAT
        logits.shape = ir.Shape(["batch", "judged", self.config["vocab_size"]])
        options = {"nodes": self.tape.nodes, "initializers": self.tape.initializers, "name": "model"}
        inputs, outputs = [self.ids, self.mask, *self.past], [logits, *self.present]
        graph = ir.Graph(inputs, outputs, opset_imports={"": 21, RUNTIME: 1}, **options)
        model = ir.Model(graph, ir_version=10, producer_name="slmlab")
        ir.external_data.unload_from_model(model, folder, "model.onnx.data", size_threshold_bytes=1000)
        ir.save(model, folder / "model.onnx")
        last.replace_all_uses_with(hidden)
        graph.remove(last.producer(), safe=True)
        del graph.initializers["last"]
        ir.save(model, folder / EVERY)  # its weights are in the same data file

    def _decoder(self) -> ir.Value:
        # how many ids each row holds, and the longest row: what the runtime's attention asks for
        one, width = self._constant("one", np.array([1], np.int64)), self._constant("width", np.array(1, np.int64))
        last = self._op("Sub", [self._op("ReduceSum", [self.mask, one], keepdims=0), one])
        longest = self._op("Gather", [self._op("Shape", [self.mask]), width], axis=0)
        self.lengths = [self._op("Cast", [value], to=INT32) for value in (last, longest)]
        turns = 1 / self.config["rope_parameters"]["rope_theta"] ** (np.arange(0, self.head_size, 2) / self.head_size)
        angles = np.outer(np.arange(self.config["max_position_embeddings"]), turns)
        waves = {"cosines": np.cos(angles), "sines": np.sin(angles)}
        self.waves = [self._constant(name, wave.astype(np.float32)) for name, wave in waves.items()]
        self.embedded = stream = self._embedding()
        added = None
        for layer in range(self.config["num_hidden_layers"]):
            stream, normed = self._norm(f"blk.{layer}.attn_norm", stream, added)
            added = self._attention(layer, normed)
            stream, normed = self._norm(f"blk.{layer}.ffn_norm", stream, added)
            added = self._feed_forward(f"blk.{layer}", normed)
        return self._norm("output_norm", stream, added)[1]

    def _op(self, operator: str, inputs: list, domain: str = "", **attributes) -> ir.Value:
        return self.tape.op(operator, inputs, attributes, domain=domain)

    def _constant(self, name: str, array: np.ndarray) -> ir.Value:
        return self.tape.initializer(ir.tensor(np.ascontiguousarray(array), name=name))

    def _embedding(self) -> ir.Value:
        """The embedding's rows, read out of the same 8-bit blocks that give the logits."""
        table = read_blocks(self.tensors["token_embd.weight"])
        if table.bits != 8 or "output.weight" in self.tensors:
            raise NotHere("The file's embedding has to be Q8_0 and serve as its head too, as in SmolLM2's files.")
        self.table = numbers, scales = self._stored("token_embd", table.numbers, table.scales, table.bits)
        flat = self._constant("embedding_shape", np.array(table.shape, np.int64))
        inputs = [self._op("Reshape", [numbers, flat]), self.ids, scales]
        how = {"bits": 8, "block_size": SIZE, "gather_axis": 0, "quantize_axis": 1}
        return self._op("GatherBlockQuantized", inputs, RUNTIME, **how)

    def _norm(self, name: str, stream: ir.Value, added: ir.Value | None) -> tuple[ir.Value, ir.Value]:
        """The stream with what is added, and the same at one size."""
        weight = self._constant(f"{name}.weight", self.tensors[f"{name}.weight"].data.astype(np.float32))
        if added is None:
            how = {"axis": -1, "stash_type": 1, **self.epsilon}
            return stream, self._op("SimplifiedLayerNormalization", [stream, weight], **how)
        outputs = [ir.Value(), ir.Value(name=""), ir.Value(name=""), ir.Value()]
        inputs, where = [stream, added, weight], {"outputs": outputs, "domain": RUNTIME}
        self.tape.op_multi_out("SkipSimplifiedLayerNormalization", inputs, self.epsilon, **where)
        return outputs[3], outputs[0]

    def _attention(self, layer: int, normed: ir.Value) -> ir.Value:
        here = f"blk.{layer}"
        query, key, value = (read_blocks(self.tensors[f"{here}.attn_{one}.weight"]) for one in "qkv")
        parts = [with_rotary_halves(query, self.heads), with_rotary_halves(key, self.kv_heads), value]
        packed = self._linear(f"{here}.attn_qkv", normed, stacked(parts))
        own, attended = slice(2 * layer, 2 * layer + 2), ir.Value()
        inputs = [packed, None, None, *self.past[own], *self.lengths, *self.waves]
        outputs = [attended, *self.present[own]]
        how = {"num_heads": self.heads, "kv_num_heads": self.kv_heads, "scale": self.head_size**-0.5, "do_rotary": 1}
        self.tape.op_multi_out("GroupQueryAttention", inputs, how, outputs=outputs, domain=RUNTIME)
        return self._linear(f"{here}.attn_output", attended)

    def _feed_forward(self, here: str, normed: ir.Value) -> ir.Value:
        """Gate and up are one matrix: a matrix twice as long is read faster than two."""
        both = stacked([read_blocks(self.tensors[f"{here}.ffn_{one}.weight"]) for one in ("gate", "up")])
        product = self._linear(f"{here}.ffn_gate_up", normed, both)
        gate, up = self.tape.op_multi_out("Split", [product], {"axis": -1, "num_outputs": 2}, num_outputs=2)
        silu = self._op("QuickGelu", [gate], RUNTIME, alpha=1.0)
        return self._linear(f"{here}.ffn_down", self._op("Mul", [silu, up]))

    def _linear(self, name: str, given: ir.Value, matrix: Blocks | None = None) -> ir.Value:
        matrix = matrix or read_blocks(self.tensors[f"{name}.weight"])
        numbers, scales, (rows, columns) = matrix.numbers, matrix.scales, matrix.shape
        zeros = np.clip(np.rint(-matrix.minimums / np.where(scales, scales, 1)), 0, 2**matrix.bits - 1)
        rests = matrix.minimums + scales * zeros
        if rests.any():
            empty = -(columns + columns // SIZE) % STRIDE
            columns += columns // SIZE + empty
            means = self._op("AveragePool", [given], kernel_shape=[SIZE], strides=[SIZE])
            given = self._op("Concat", [given, means, *([self._zeros(empty)] if empty else [])], axis=-1)
            beside = _rounded(np.pad(rests * SIZE, ((0, 0), (0, empty))), matrix.bits)
            pairs = zip((numbers, scales, zeros), beside, strict=True)
            numbers, scales, zeros = (np.concatenate(pair, axis=1) for pair in pairs)
        stored = self._stored(name, numbers, scales, matrix.bits)
        packed = _packed(zeros.astype(np.uint8), matrix.bits).reshape(-1)
        inputs = [given, *stored, self._constant(f"{name}.zeros", packed)]
        return self._matmul(inputs, rows, columns, matrix.bits)

    def _zeros(self, width: int) -> ir.Value:
        """Zeros for each id, made once a run: as many rows as there are ids, which the graph learns only then."""
        if width not in self.zeros:
            ends = [self._constant(f"zeros.{width}.{end}", np.array([end], np.int64)) for end in (0, 1, 2)]
            row = self._constant(f"zeros.{width}.row", np.zeros(width, np.float32))
            self.zeros[width] = self._op("Mul", [self._op("Slice", [self.embedded, *ends]), row])
        return self.zeros[width]

    def _stored(self, name: str, numbers: np.ndarray, scales: np.ndarray, bits: int) -> tuple[ir.Value, ir.Value]:
        """Numbers and scales in the file; the scales in 16 bits, as in GGUF: the runtime widens them when it loads."""
        stored = self._constant(f"{name}.numbers", _packed(numbers, bits))
        half = self._constant(f"{name}.scales", scales.astype(np.float16))
        return stored, self._op("Cast", [half], to=FLOAT)

    def _matmul(self, inputs: list, rows: int, columns: int, bits: int) -> ir.Value:
        how = {"K": columns, "N": rows, "bits": bits, "block_size": SIZE, "accuracy_level": 4}
        return self._op("MatMulNBits", inputs, RUNTIME, **how)


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

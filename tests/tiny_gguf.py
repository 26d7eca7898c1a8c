"""A GGUF file of a Llama's shape with random weights, a few kilobytes small."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quants

SIZES = {"hidden": 64, "ffn": 96, "heads": 2, "kv_heads": 1, "layers": 2, "context": 128}
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(chr(code) for code in range(33, 126)), "ab"]


def write_tiny_gguf(
    path: Path, matrices: Kind = Kind.Q4_1, embedding: Kind = Kind.Q8_0, architecture: str = "llama"
) -> Path:
    draw = np.random.default_rng(0)
    writer = GGUFWriter(path, architecture)
    _write_fields(writer)
    hidden, ffn, kv = SIZES["hidden"], SIZES["ffn"], SIZES["hidden"] // SIZES["heads"] * SIZES["kv_heads"]

    def add(name: str, rows: int, columns: int, kind: Kind) -> None:
        # Not centred on zero, so that the minimums of the blocks are no multiples of their scales.
        values = draw.normal(0.05, 0.25, (rows, columns)).astype(np.float32)
        writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)

    add("token_embd.weight", len(TOKENS), hidden, embedding)
    writer.add_tensor("output_norm.weight", draw.uniform(0.5, 1.5, hidden).astype(np.float32))
    for layer in range(SIZES["layers"]):
        here = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{here}.{norm}.weight", draw.uniform(0.5, 1.5, hidden).astype(np.float32))
        shapes = {"attn_q": (hidden, hidden), "attn_k": (kv, hidden), "attn_v": (kv, hidden)}
        shapes |= {"attn_output": (hidden, hidden), "ffn_gate": (ffn, hidden), "ffn_up": (ffn, hidden)}
        for name, (rows, columns) in (shapes | {"ffn_down": (hidden, ffn)}).items():
            add(f"{here}.{name}.weight", rows, columns, matrices)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_fields(writer: GGUFWriter) -> None:
    fields = {
        "block_count": SIZES["layers"], "embedding_length": SIZES["hidden"], "feed_forward_length": SIZES["ffn"],
        "head_count": SIZES["heads"], "head_count_kv": SIZES["kv_heads"], "context_length": SIZES["context"],
        "layer_norm_rms_eps": 1e-5, "rope_freq_base": 10_000.0, "vocab_size": len(TOKENS), "tokenizer_model": "gpt2",
        "tokenizer_pre": "smollm", "token_list": TOKENS, "token_types": [3, 3, 3] + [1] * (len(TOKENS) - 3),
        "token_merges": ["a b"], "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "unk_token_id": 0,
    }  # fmt: skip
    for name, value in fields.items():
        getattr(writer, f"add_{name}")(value)

"""The bundled model's file to the two forms that run: GGUF to a Hugging Face folder, that to ONNX.

Each is a program of its own (`python -m slmlab.gguf.convert`), so that its 2 GB of memory go back when it ends.
"""

import json
import os
import shutil
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np

from slmlab.catalog import DATA
from slmlab.errors import NotHere
from slmlab.gguf.blocks import rotary_halves

FAMILY = ("llama", "smollm")  # a file's architecture and tokenizer
CONTROL = 3  # GGUF's type of a token that is no text
# The file's own template slips a system prompt into every chat that has none, and a model this small wavers under it:
# after "What is the capital of France?" the likeliest first word falls from 56 % to 15 %, one point above the next.
TEMPLATE = DATA / "chatml.jinja"
NAMES = tomllib.loads((DATA / "gguf.toml").read_text(encoding="utf-8"))


def gguf_to_transformers(source: Path, target: Path) -> None:
    """Unpack a Llama-shaped GGUF file to float32: to the bit as Transformers' own reader, and five times as fast."""
    from gguf import quants
    from safetensors.numpy import save_file

    tensors, fields, config = _read(source)
    _write_json(target / "config.json", config)
    _write_json(target / "generation_config.json", {key: config[key] for key in ("bos_token_id", "eos_token_id")})
    _write_tokenizer(fields, config, target)
    heads, found = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}, {}
    for tensor in tensors:
        *block, kind, _ = tensor.name.split(".")
        weights = quants.dequantize(tensor.data, tensor.tensor_type)
        layer = f"layers.{block[1]}." if block else ""
        weights = rotary_halves(weights, heads[kind]) if kind in heads else weights
        found[f"model.{layer}{NAMES['tensors'][kind]}.weight"] = weights
    save_file(found, target / "model.safetensors", metadata={"format": "pt"})


def gguf_to_onnx(source: Path, target: Path) -> None:
    """The file's blocks as they are, in a graph for ONNX Runtime GenAI: no torch, and no rounding a second time."""
    from slmlab.gguf.graph import LlamaGraph  # here: it brings onnx along, which the other forms do without

    tensors, fields, config = _read(source)
    LlamaGraph({tensor.name: tensor for tensor in tensors}, config).save(target)
    shape = ("hidden_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads")
    decoder = {"filename": "model.onnx", "head_size": config["head_dim"], **{key: config[key] for key in shape}}
    model = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id", "vocab_size")}
    model |= {"type": "llama", "context_length": config["max_position_embeddings"], "decoder": decoder}
    search = {"max_length": model["context_length"], "past_present_share_buffer": True}
    _write_json(target / "genai_config.json", {"model": model, "search": search})
    _write_tokenizer(fields, config, target)


def transformers_to_onnx(source: Path, target: Path, precision: str) -> None:
    """ONNX Runtime GenAI's own builder, which needs the weights as a Hugging Face folder."""
    from onnxruntime_genai.models import builder

    scratch = str(target / "scratch")
    road = (None, str(source), str(target), precision, "cpu", scratch)
    # An 8-bit grid with a zero point holds the file's 4-bit blocks almost exactly: on one text of 800 tokens perplexity
    # rose by 0.1 % over fp32, and without it by 1.1 %, at the same speed.
    extra = ["is_symmetric=false"] if precision == "int8" else []
    builder.create_model(*road, **builder.parse_extra_options(*road, extra))
    shutil.rmtree(scratch, ignore_errors=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source / name).is_file():  # the builder's own lacks the mended step
            shutil.copyfile(source / name, target / name)


def _read(source: Path) -> tuple[list, dict, dict]:
    from gguf import GGUFReader

    class Reader(GGUFReader):
        """Without a slice of NumPy's memmap for each of 98,000 texts: they cost three quarters of the time."""

        def _get(self, offset, dtype, count=1, override_order=None):
            return np.frombuffer(self.data, dtype, int(count), offset)

    try:
        reader = Reader(source)
        fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF")}
        family = fields["general.architecture"], fields.get("tokenizer.ggml.pre", "none")
        config = _config(fields) if family == FAMILY else {}
    except (ValueError, KeyError, IndexError, OverflowError) as fault:
        raise NotHere(f"{source.name} is damaged, cut short, or no GGUF file ({fault}). Fetch it again.") from fault
    if family != FAMILY:
        kind = f"{source.name} is a {family[0]} model with the tokenizer {family[1]}"
        advice = "Carried over are Llama-shaped models with SmolLM2's; llama.cpp runs others: pip install xllamacpp"
        raise NotHere(f"{kind}. {advice}")
    reader.fields.clear()  # its arrays for 98,000 tokens and merges take 150 MB
    return reader.tensors, fields, config


def _config(fields: dict) -> dict:
    config = NAMES["fixed"] | {name: fields[f"llama.{key}"] for name, key in NAMES["config"].items()}
    config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]}
    marks = NAMES["tokens"].items()
    return config | {f"{name}_token_id": fields[f"tokenizer.ggml.{key}_token_id"] for name, key in marks}


def _write_tokenizer(fields: dict, config: dict, target: Path) -> None:
    """Byte-level BPE, after cutting numbers into single digits: a step that Transformers' own reader forgets."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={text: id for id, text in enumerate(tokens)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(tokens, fields["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text, kind in kinds if kind == CONTROL])
    tokenizer.save(str(target / "tokenizer.json"))
    settings = {f"{name}_token": tokens[config[f"{name}_token_id"]] for name in NAMES["tokens"]}
    _write_json(target / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **settings})
    shutil.copyfile(TEMPLATE, target / "chat_template.jinja")


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _end_with_parent() -> None:
    """The parent holds this program's standard input: when it closes, the parent is gone and so is the work's use."""
    os.read(0, 1)  # not sys.stdin: its lock would still be held when the interpreter shuts down
    os._exit(2)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    form, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    try:
        if form in ("transformers", "onnx-q4"):
            {"transformers": gguf_to_transformers, "onnx-q4": gguf_to_onnx}[form](source, target)
        else:
            transformers_to_onnx(source, target, form.removeprefix("onnx-"))
    except NotHere as fault:
        sys.exit(str(fault))

"""Quantized loading with Transformers, and its trap: most methods pass over the experts of a mixture, without a word.

They replace linear layers, and Transformers 5 keeps a layer's experts as two tensors that belong to none. What is
refused here would load 84 GB where 21 were wanted. Knows nothing about folders in the cache or machines.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from slmlab.architecture import Architecture, is_mixture
from slmlab.errors import BadRequest

WHOLE = ("fp8", "mxfp8")  # these treat the experts, in Transformers 5.23; on a CPU it unpacks them
_BLOCKS = ("mlp", "block_sparse_moe", "moe", "feed_forward")  # what families call the place of their experts
ADVICE = (
    "What works: torchao with the experts named, "
    r'TorchAoConfig(FqnToConfig({r"re:.*experts\.(gate_up|down)_proj": Int8WeightOnlyConfig()})); '
    "or a GGUF file of the model, with llama.cpp."
)
_OF_ONE_FAMILY = {"mxfp4": "gpt_oss", "fbgemm_fp8": "llama4"}


def as_dict(quantization) -> dict:
    """A configuration of Transformers' own, or its dict, as a dict."""
    ask = dict if isinstance(quantization, type) else getattr(quantization, "to_dict", dict)
    found = quantization if isinstance(quantization, Mapping) else ask()
    if not found.get("quant_method"):
        raise BadRequest(
            "quantization takes a configuration of Transformers, such as TorchAoConfig(...), or its dict, which has a "
            f"quant_method; {type(quantization).__name__} is none."
        )
    return dict(found)


def plan(folder: Path, asked, device: str, shape: Architecture | None = None) -> tuple[str | None, dict]:
    """The method that a folder is quantized with, as asked, else as it was saved, and what `from_pretrained` is told
    for it; None and nothing for a folder that isn't."""
    settings = _settings(folder)
    if not (asked or settings.get("quantization_config")):
        return None, {}
    quantization = as_dict(asked or settings["quantization_config"])
    options = {} if device == "cpu" else {"device_map": device}  # which needs one package more
    if asked:
        options["quantization_config"] = asked
    if is_mixture(settings):
        refuse_skipped_experts(quantization, shape, settings.get("model_type"))
        if _method(quantization) == "torchao":
            options["experts_implementation"] = "eager"  # the fused kernels take none of its tensors
    return _method(quantization), options


def refuse_skipped_experts(quantization: Mapping, shape: Architecture | None = None, family: str | None = None) -> None:
    """Refuse for a mixture of experts what is not known to quantize its experts."""
    method = _method(quantization)
    whole = method in WHOLE or (family and _OF_ONE_FAMILY.get(method) == family)
    if whole and not _spares(quantization.get("modules_to_not_convert")):
        return
    if method == "torchao" and any(_covers(quantization.get("quant_type"), block) for block in _BLOCKS):
        return
    part = f", {shape.experts_share:.0%} of the parameters," if shape else ""
    raise BadRequest(
        f"{method} would leave the experts{part} as they are, in 16 or 32 bits, without a word: it quantizes linear "
        f"layers, and Transformers keeps experts as tensors that belong to none. {ADVICE}"
    )


def refuse_untouched_experts(model, method: str) -> None:
    """Refuse a model of which some experts are what they were, whatever its configuration promised."""
    import torch

    if method in WHOLE:  # without the right GPU, Transformers unpacks these and says so
        return
    for name, tensor in model.named_parameters():
        if "expert" in name and "shared" not in name and tensor.dim() == 3:
            if type(tensor.data) is torch.Tensor and tensor.dtype in (torch.float32, torch.float16, torch.bfloat16):
                raise BadRequest(f"{method} passed over {name}, as it came: name every layer's experts. {ADVICE}")


def in_memory_as(quantization) -> str:
    """The precision whose size comes nearest to what a quantization takes."""
    found = as_dict(quantization)
    bits = [str(found[name]) for name in ("bits", "nbits", "w_bit", "num_bits") if found.get(name)]
    four = found.get("load_in_4bit") or "4" in bits or _method(found) in ("mxfp4", "nvfp4", "awq")
    return "int4" if four or "int4" in str(quantization).lower() else "int8"


def _method(quantization: Mapping) -> str:
    return str(getattr(quantization["quant_method"], "value", quantization["quant_method"]))


def _spares(kept) -> bool:
    """Whether the parts that a configuration leaves out hold experts."""
    names = [f"model.layers.0.{block}.experts" for block in _BLOCKS]
    for one in [kept] if isinstance(kept, str) else kept or ():
        if any(str(one) in name or _fits(f"re:.*{one}.*", name) or "expert" in str(one) for name in names):
            return True
    return False


def _covers(node, block: str) -> bool:
    tensors = (f"model.layers.0.{block}.experts.{name}" for name in ("gate_up_proj", "down_proj"))
    return all(_reaches(tensor, node) for tensor in tensors)


def _reaches(tensor: str, node) -> bool:
    """Whether somewhere in a torchao configuration a pattern that fits this tensor's name is given something to do."""
    if not isinstance(node, Mapping):
        return False
    for key, value in node.items():
        if value is not None and (str(key) == tensor or _fits(str(key), tensor)) or _reaches(tensor, value):
            return True
    return False


def _fits(pattern: str, tensor: str) -> bool:
    try:
        return pattern.startswith("re:") and re.fullmatch(pattern[3:], tensor) is not None
    except re.error:
        return False


def _settings(folder: Path) -> dict:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # who loads the model says what is wrong with its configuration
    return found if isinstance(found, dict) else {}

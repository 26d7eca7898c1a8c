"""Phi-4-multimodal in a program of its own: it cuts pictures up with torchvision, which may not fit this torch.

Takes an empty folder, and one with torchvision where it is not installed; prints what it found as one line of JSON.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from tests.conftest import ids_of
from tests.tiny_sight import QUESTION, inputs_of, noise, write_tiny_phi4

OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")


def borrow_torchvision(folder: str) -> None:
    """torchvision from a folder. Compiled operators that are for another build of torch stay away: those that it
    describes as it is imported are declared, and no picture's way goes through one."""
    import torch

    sys.path.append(folder)
    with suppress(OSError):
        return torch.ops.load_library(next(Path(folder, "torchvision").glob("_C.*")))
    for name in OPERATORS:
        for full in (name, f"_{name}_backward"):
            with suppress(RuntimeError):
                torch.library.define(f"torchvision::{full}", "(Tensor a) -> Tensor")


def reference(folder: Path):
    """The processor and the model as Transformers alone opens them."""
    from transformers import AutoModelForCausalLM, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    processor.chat_template = processor.tokenizer.chat_template  # Transformers leaves it with the tokenizer
    return processor, AutoModelForCausalLM.from_pretrained(folder).eval()


def generated(processor, model, *images) -> list[int]:
    import torch

    inputs = inputs_of((processor, model), QUESTION, *images)
    with torch.inference_mode():
        made = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    return made[0, inputs["input_ids"].shape[1] :].tolist()


def answers(folder: Path) -> dict:
    """What the engine answers."""
    import slmlab

    one, two = noise(0, 300, 200), noise(1, 200, 500)
    with slmlab.load(str(folder), threads=1) as model:
        found = {"ids": [ids_of(model.ask(QUESTION, images=given, max_tokens=8)) for given in ([], [one], [one, two])]}
        alone = reference(folder)
        found["generated"] = [generated(*alone, *given) for given in ([], [one], [one, two])]
        sizes = [(300, 200), (200, 500), (900, 900), (1500, 400)]
        found["prompt_tokens"] = [(*size, prompt_tokens(model, noise(0, *size))) for size in sizes]
        found["text_tokens"] = prompt_tokens(model)
    return found


def prompt_tokens(model, *images) -> int:
    reply = model.ask(QUESTION, images=images, max_tokens=1)
    ids_of(reply)
    return reply.start.prompt_tokens


def with_adapter(folder: Path) -> dict:
    """The same model with a small random adapter beside its weights, as Microsoft's own has one for pictures."""
    import torch
    from peft import LoraConfig, get_peft_model

    import slmlab

    torch.manual_seed(1)
    layers = LoraConfig(r=4, target_modules=r"model\.layers\.\d+\..*(qkv|gate_up)_proj", init_lora_weights=False)
    processor, model = reference(folder)
    wrapped, image = get_peft_model(model, layers), noise(0, 300, 200)
    found = {"generated": generated(processor, wrapped, image)}
    wrapped.save_pretrained(folder / "vision-lora")
    with slmlab.load(str(folder), threads=1) as model:
        found["ids"] = ids_of(model.ask(QUESTION, images=[image], max_tokens=8))
    return found


def main(folder: Path, torchvision: str | None = None) -> None:
    if torchvision:
        borrow_torchvision(torchvision)
    import torch

    torch.set_num_threads(1)
    write_tiny_phi4(folder)
    print(json.dumps(answers(folder) | {"adapter": with_adapter(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

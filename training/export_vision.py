"""The trained vision model as a folder that Transformers loads with no code of ours: weights in 16 bits, processor."""

import json
from pathlib import Path

import torch

from slmlab.weights import sha256_of
from training.state import model_folder
from training.vision_model import new_model, new_processor
from training.vision_recipe import Recipe

MOST_BYTES = 25_000_000
CONTEXT = 1024  # trained on up to four pictures and some 130 tokens of text, about 720


def export(state: dict, target: Path) -> None:
    """The model of a state, in its folder; what else is there, its card and scores, stays."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    recipe = Recipe(**state["recipe"])
    processor = new_processor()
    model = new_model(processor, recipe.seed, recipe.width, recipe.seeing, recipe.telling)
    model.load_state_dict(state["model"])
    model.config.text_config.max_position_embeddings = CONTEXT
    with model_folder(target, MOST_BYTES) as new:
        model.to(torch.float16).save_pretrained(new)
        processor.save_pretrained(new)
        _name_class(new)
    weights = target / "model.safetensors"
    print(f"{target.name}: {weights.stat().st_size:,} bytes, sha256 {sha256_of(weights)} (for data/models.toml)")


def _name_class(folder: Path) -> None:
    """The tokenizer's class by the name that every release of Transformers since 4 knows."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

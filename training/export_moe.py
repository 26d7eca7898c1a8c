"""The trained models as folders that Transformers loads with no code of ours: weights in 16 bits, tokenizer, card."""

import json
import shutil
from pathlib import Path

import torch

from course.sparse import BEGIN, END, PAD, VOCABULARY, Recipe, new_model
from slmlab.weights import sha256_of
from training.run import folder_of
from training.state import model_folder, read_state

SPECIAL = {BEGIN: "<|begin|>", END: "<|end|>", PAD: "<|pad|>"}
MOST_BYTES = 20_000_000


def export(work: Path, models: Path) -> None:
    """Both models of seed 0, each in its folder under `models`, and the manifest of their data; cards stay."""
    for name, recipe in (("tiny-moe", Recipe()), ("tiny-dense", Recipe(dense=True))):
        export_one(recipe, folder_of(recipe, work) / "state.pt", models / name)
        weights = models / name / "model.safetensors"
        print(f"{name}: {weights.stat().st_size:,} bytes, sha256 {sha256_of(weights)} (for data/models.toml)")
    shutil.copyfile(work / "corpus.json", models / "tiny-moe" / "corpus.json")


def export_one(recipe: Recipe, state_path: Path, target: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    state = read_state(state_path)
    if state["step"] != state["recipe"]["steps"]:
        raise SystemExit(f"{state_path} stopped at step {state['step']:,}: finish it first, with the same command.")
    model = new_model(recipe)
    model.load_state_dict(state["model"])
    with model_folder(target, MOST_BYTES) as new:
        model.to(torch.float16).save_pretrained(new)
        write_tokenizer(new)


def write_tokenizer(folder: Path) -> None:
    """A token is a byte and its id is the byte; a text begins with <|begin|>."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    letters = {letter: byte for byte, letter in enumerate(_byte_letters())}
    letters |= {f"<|unused {id}|>": id for id in range(max(SPECIAL) + 1, VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocab=letters | {text: id for id, text in SPECIAL.items()}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL.values()])
    begin = SPECIAL[BEGIN]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, BEGIN)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": begin, "eos_token": SPECIAL[END],
        "pad_token": SPECIAL[PAD], "model_max_length": 512, "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each byte: itself where it can be seen, else one from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) if byte in seen else chr(256 + hidden.index(byte)) for byte in range(256)]

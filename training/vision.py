"""The small vision model of data/models/tiny-vlm: a LLaVA of 6.6 million parameters that reads drawn pictures.

    python -m training.vision train [--minutes N] [--seed N]   make it; run it again after any stop and it goes on
    python -m training.vision evaluate [--folder F]            its scores on held-out pictures, beside its opponents
    python -m training.vision export                           write data/models/tiny-vlm from the finished training

Pictures are drawn as they are needed; nothing is downloaded. Some hours on two cores, minutes on a GPU.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from training.cards import write_between
from training.export_vision import export
from training.state import ROOT, WORK, read_state, write_whole
from training.vision_card import END_MARK, MARK, tables
from training.vision_measure import measure
from training.vision_recipe import Recipe
from training.vision_run import train

SHIPPED = ROOT / "data" / "models" / "tiny-vlm"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("train", help="make the model, or go on with it")
    making.add_argument("--minutes", type=float, help="stop and save after so many; the same command goes on")
    making.add_argument("--processes", type=_whole, default=_cores(), help="one for each core (default: %(default)s)")
    making.add_argument("--seed", type=int, default=Recipe.seed)
    making.add_argument("--steps", type=_whole, default=Recipe.steps)
    scoring = commands.add_parser("evaluate", help="score a finished model, and write scores.json beside it")
    scoring.add_argument("--folder", type=Path, default=SHIPPED, help="default: data/models/tiny-vlm")
    scoring.add_argument("--pictures", type=int, default=200, help="held-out pictures for each form of question")
    scoring.add_argument("--ocr-pictures", type=int, default=60, help="pictures of a kind that OCR with rules reads")
    writing = commands.add_parser("export", help="write the model of a training as a folder for Transformers")
    writing.add_argument("--folder", type=Path, default=SHIPPED)
    writing.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    if parsed.command == "train":
        if parsed.steps <= Recipe.pages:
            parser.error(f"--steps {parsed.steps}: the first {Recipe.pages:,} are for the encoder alone, so give more")
        recipe = Recipe(seed=parsed.seed, steps=parsed.steps)
        seconds = None if parsed.minutes is None else 60 * parsed.minutes
        if not train(recipe, _folder(recipe.seed), parsed.processes, seconds) and seconds is None:
            sys.exit(130)
    elif parsed.command == "evaluate":
        if not (parsed.folder / "config.json").is_file():
            parser.error(f"there is no model in {parsed.folder}: write one there, with the command `export`")
        scores = measure(parsed.folder, parsed.pictures, parsed.ocr_pictures, processes=_cores())
        write_whole(parsed.folder / "scores.json", json.dumps(asdict(scores), indent=1) + "\n")
        card = parsed.folder / "README.md"
        if card.is_file() and MARK in card.read_text(encoding="utf-8"):
            write_between(card, MARK, END_MARK, tables(scores))
        print(tables(scores))
    else:
        state = read_state(_folder(parsed.seed) / "state.pt")
        if state["step"] < state["recipe"]["steps"]:
            print(
                f"This training stopped at step {state['step']:,}: the model is not what it will be.", file=sys.stderr
            )
        export(state, parsed.folder)


def _folder(seed: int) -> Path:
    return WORK / f"vision-seed{seed}"


def _cores() -> int:
    """How many processes work well: one for each core, as far as a training's step has pages and scenes for them."""
    import torch

    if torch.cuda.is_available():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, Recipe.page_batch, Recipe.batch)


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return value


if __name__ == "__main__":
    main()

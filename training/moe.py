"""The small mixture of experts of data/models/tiny-moe, its dense opponent, and their measures.

    python -m training.moe train [--dense] [--seed N]     make a model; run it again after any stop and it goes on
    python -m training.moe measure                        measure every model that was made
    python -m training.moe export                         write data/models/tiny-moe and tiny-dense from seed 0
    python -m training.moe curves                         train both briefly and write data/models/tiny-moe/curves.json
    python -m training.moe probe                          write data/models/tiny-moe/probe.json, bytes and their experts

A PhimoeForCausalLM over bytes: 4 layers, width 192, 16 experts of which each token uses 2. About 40 minutes a model on
two cores, a few on a GPU; 20 for the dense one.
"""

import argparse

from course.sparse import Recipe
from training.export_moe import export
from training.lesson_moe import EVERY, curves, probe
from training.measure_moe import measure_all
from training.run import Run, folder_of, name_of, tokens_in
from training.state import ROOT, WORK


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="make a model, or go on with one")
    train.add_argument("--dense", action="store_true", help="the opponent: one feed-forward block, of the active size")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--steps", type=int, default=Recipe.steps)
    train.add_argument("--balance", type=float, default=Recipe.balance, help="0 lets the experts fall out of balance")
    commands.add_parser("measure", help="measure every finished model, and write data/models/tiny-moe/measures.json")
    commands.add_parser("export", help="write the models of seed 0 to data/models")
    both = commands.add_parser("curves", help="train mixture and dense model side by side, keep the curves")
    both.add_argument("--steps", type=int, default=200, help=f"a multiple of {EVERY}")
    commands.add_parser("probe", help="write a hundred bytes and the expert that each goes to")
    parsed = parser.parse_args(arguments)
    if parsed.command == "train":
        recipe = Recipe(seed=parsed.seed, dense=parsed.dense, steps=parsed.steps, balance=parsed.balance)
        run = Run(recipe, folder_of(recipe))
        size = sum(one.numel() for one in run.training.model.parameters())
        print(f"{name_of(recipe)}: {size / 1e6:.2f} million parameters, {tokens_in(recipe) / 1e6:.1f} million tokens.")
        run.train()
    elif parsed.command == "measure":
        measure_all(WORK, ROOT / "data" / "models" / "tiny-moe" / "measures.json")
    elif parsed.command == "curves":
        curves(WORK, ROOT / "data" / "models" / "tiny-moe" / "curves.json", parsed.steps)
    elif parsed.command == "probe":
        probe(ROOT / "data" / "models" / "tiny-moe" / "probe.json")
    else:
        export(WORK, ROOT / "data" / "models")


if __name__ == "__main__":
    main()

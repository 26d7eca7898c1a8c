"""What a lesson reads beside the shipped mixture: two loss curves, and a hundred bytes with the expert of each.

The curves are of trainings shorter than the shipped models had, the mixture and its dense opponent on the same bytes.
"""

import json
import math
from pathlib import Path

import torch

import slmlab
from course import inside
from course.sparse import Recipe, Training, batch_of
from training.corpus import corpus
from training.state import write_whole

EVERY = 10  # steps between two points of a curve
BATCH = 10  # texts in a step, a quarter of the shipped models': it has to end on one core, too
HELD = 40  # held-out texts


def curves(work: Path, target: Path, steps: int) -> None:
    """Train both from seed 0 and write their bits per byte on held-out texts, after every so many steps."""
    data = corpus(work)
    texts, held = ({name: parts[part] for name, parts in data.items()} for part in ("train", "held"))
    recipes = {"mixture": Recipe(steps=steps, batch=BATCH), "dense": Recipe(steps=steps, batch=BATCH, dense=True)}
    trainings = {name: Training(recipe, texts) for name, recipe in recipes.items()}
    asked = batch_of(held, Recipe(batch=HELD), 0)
    bits = {name: [] for name in recipes}
    for step in range(1, steps + 1):
        for name, training in trainings.items():
            training.advance()
            if step % EVERY == 0:
                bits[name].append(round(_bits_of(training.model, asked), 3))
        if step % EVERY == 0:
            told = " · ".join(f"{name} {some[-1]:.3f}" for name, some in bits.items())
            print(f"step {step} of {steps} · held-out bits per byte: {told}", flush=True)
    found = {
        "made by": f"python -m training.moe curves --steps {steps}",
        "bytes": [step * BATCH * Recipe.length for step in range(EVERY, steps + 1, EVERY)],
    }
    write_whole(target, json.dumps(found | {"bits per byte": bits}) + "\n")
    print(f"Written: {target}")


def _bits_of(model, ids) -> float:
    """As in use: while it trains, Phi's router draws among its best experts, which would tell against the mixture."""
    with torch.no_grad():
        logits = model.eval()(ids[:, :-1], use_cache=False).logits.float()
    model.train()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item() / math.log(2)


def probe(target: Path) -> None:
    """Write a hundred bytes from the ends of five texts, and each one's first expert in layer 0: to test a rule on."""
    found = []
    with slmlab.load("tiny-moe") as model:
        for text in inside.domain_texts(3600).values():
            one = inside.routing(model, text[-240:])
            both = [(piece.text, expert) for piece, expert in zip(one.pieces, one.first(0), strict=True) if piece.text]
            found += both[::11][:20]
    write_whole(target, json.dumps({"made by": "python -m training.moe probe", "first experts": found}) + "\n")

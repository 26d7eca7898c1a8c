"""What a lesson reads beside the shipped mixture: two loss curves, and a hundred bytes with the expert of each.

The curves are of trainings shorter than the shipped models had, the mixture and its dense opponent on the same bytes.
"""

import json
from pathlib import Path

import numpy as np

import slmlab
from course import inside
from course.sparse import Recipe, Training
from training.corpus import corpus
from training.state import write_whole

EVERY = 10  # steps in a point of a curve
BATCH = 10  # texts in a step, a quarter of the shipped models': it has to end on one core, too


def curves(work: Path, target: Path, steps: int) -> None:
    """Train both from seed 0 and write the bits per byte, a mean for every ten steps."""
    data = corpus(work)
    texts = {name: parts["train"] for name, parts in data.items()}
    recipes = {"mixture": Recipe(steps=steps, batch=BATCH), "dense": Recipe(steps=steps, batch=BATCH, dense=True)}
    trainings = {name: Training(recipe, texts) for name, recipe in recipes.items()}
    bits = {name: [] for name in recipes}
    for step in range(steps):
        for name, training in trainings.items():
            bits[name].append(training.advance().bits_per_byte)
        if (step + 1) % EVERY == 0:
            told = " · ".join(f"{name} {np.mean(some[-EVERY:]):.3f}" for name, some in bits.items())
            print(f"step {step + 1} of {steps} · bits per byte: {told}", flush=True)
    found = {
        "made by": f"python -m training.moe curves --steps {steps}",
        "bytes": [step * BATCH * Recipe.length for step in range(EVERY, steps + 1, EVERY)],
    }
    means = {name: np.reshape(some, (-1, EVERY)).mean(axis=1).round(3).tolist() for name, some in bits.items()}
    write_whole(target, json.dumps(found | {"bits per byte": means}) + "\n")
    print(f"Written: {target}")


def probe(target: Path) -> None:
    """Write a hundred bytes from the ends of five texts, and each one's first expert in layer 0: to test a rule on."""
    found = []
    with slmlab.load("tiny-moe") as model:
        for text in inside.domain_texts(3600).values():
            one = inside.routing(model, text[-240:])
            both = [(piece.text, expert) for piece, expert in zip(one.pieces, one.first(0), strict=True) if piece.text]
            found += both[::11][:20]
    write_whole(target, json.dumps({"made by": "python -m training.moe probe", "first experts": found}) + "\n")

"""The exercises of lesson 12: the nearest point of a grid, a model card, a model for the learner's own task."""

import re
from pathlib import Path

from course.answers import code, function_in, need, pair_from, shown
from course.evaluate import Share
from course.exercises.registry import exercise


@exercise("ship-1", told="for the weight {weight} on a grid from {low} in steps of {gap} it gave {value:.4g}",
          otherwise=", and {right:.4g} is right", cases=[
    (0.26, -0.5, 0.1), (-0.23, -0.5, 0.1), (0.3, 0.05, 0.1), (9.0, -0.5, 0.1), (-9.0, -0.5, 0.1)
], mistakes=[
    ("the grid begins at `low`, not at 0", lambda weight, low, gap: low + gap * int(weight / gap)),
    ("that is the point below it, not the nearest",
     lambda weight, low, gap: low + gap * min(15, max(0, int((weight - low) / gap)))),
    ("there are 16 points, and the last is `low + 15 * gap`",
     lambda weight, low, gap: low + gap * max(0, round((weight - low) / gap))),
    ("there is no point below `low`", lambda weight, low, gap: low + gap * min(15, round((weight - low) / gap))),
])  # fmt: skip
def to_grid(weight, low, gap):
    place = round((weight - low) / gap)
    return low + gap * min(15, max(0, place))


card = exercise("ship-2")()


@card.judged
def _(answer):
    from huggingface_hub import ModelCard

    need(isinstance(answer, str | Path), f"hand over the folder of the card, not {shown(answer)}")
    file = Path(answer) / "README.md"
    need(file.is_file(), f"there is no {file}; save the card before the check")
    card = ModelCard.load(file)
    for field in ("license", "language", "base_model"):
        need(getattr(card.data, field, None), f"its first lines, for programs, lack `{field}`")
    need("SmolLM2-135M-Instruct" in str(card.data.base_model), f"`base_model` is {code(str(card.data.base_model))}")
    scores = re.findall(r"(\d+) ?% \((\d+) ?%\D+(\d+) ?%", card.text)
    need(scores, "the score with its interval is missing, such as 62% (48%-74%)")
    need(any(int(low) <= int(share) <= int(high) for share, low, high in scores), "the share lies outside its interval")
    limits = card.text.partition("## Limits")[2].strip()
    need(len(limits.split()) >= 5, "`## Limits` is missing, or says next to nothing")
    need("very good" not in card.text, "“very good” can't be checked by anybody; say what was measured")


own = exercise("ship-3", limit_s=300)()


@own.judged
def _(answer):
    task, function = pair_from(answer, "`(task, answer)`: what `making.read_task` gave, and a function")
    need(hasattr(task, "held"), f"the first of the two is what `making.read_task` gave, not {shown(task)}")
    said = [str(function_in(function, "answer")(text)).strip() for text, _ in task.held]
    missed = [(text, got, wanted) for (text, wanted), got in zip(task.held, said, strict=True) if got != wanted]
    score, blind = Share(len(said) - len(missed), len(said)), task.blind / len(said)
    told = f"right for {score} of the held-out texts, and one answer for all gets {blind:.0%}"
    first = missed and f". First missed: {code(missed[0][0])} became {code(missed[0][1])}, not {code(missed[0][2])}"
    need(score.interval[0] > blind, f"{told}; the interval must be above it{first or ''}")

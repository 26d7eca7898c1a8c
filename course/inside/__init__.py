"""What happens inside a model that Transformers runs: who works, where it looks."""

from course.domains import domain_texts, samples
from course.inside import plots
from course.inside.router import information, kinds, shares_by
from slmlab.gguf.blocks import read_blocks

__all__ = [
    "domain_texts",
    "gaze",
    "information",
    "kinds",
    "look",
    "plots",
    "read_blocks",
    "routing",
    "samples",
    "shares_by",
    "untrained",
    "without_expert",
]


def routing(model, text: str):
    return model.routing(text)


def without_expert(model, layer: int, expert):
    return model.without_expert(layer, expert)


def untrained(model, seed: int = 0):
    return model.untrained(seed)


def look(model, picture):
    return model.look(picture)


def gaze(model, question: str, **options):
    return model.gaze(question, **options)

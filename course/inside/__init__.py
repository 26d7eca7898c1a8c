"""A look inside models: experts, attention, what a model leans to, and texts to try it on."""

from course.domains import domain_texts, samples
from course.inside import plots
from course.inside.experts import information, kinds, routing, shares_by, untrained, without_expert
from course.inside.vision import gaze, look
from course.inside.words import leans
from slmlab.gguf.blocks import read_blocks

__all__ = [
    "domain_texts", "gaze", "information", "kinds", "leans", "look",
    "plots", "read_blocks", "routing", "samples", "shares_by", "untrained", "without_expert",
]  # fmt: skip

"""What happens inside a model that Transformers runs: who works, where it looks."""

from course.domains import domain_texts, samples
from course.inside import plots
from course.inside.experts import bootstrap, information, kinds, routing, shares_by, untrained, without_expert
from course.inside.vision import gaze, look
from course.inside.words import draw_attention, draw_leans, leans
from slmlab.gguf.blocks import read_blocks

__all__ = [
    "bootstrap", "domain_texts", "draw_attention", "draw_leans", "gaze", "information", "kinds", "leans", "look",
    "plots", "read_blocks", "routing", "samples", "shares_by", "untrained", "without_expert",
]  # fmt: skip

"""Pictures drawn from a seed, with questions whose answers are known."""

from course.drawn import plots
from course.drawn.draws import draw
from course.drawn.looks import LOOKS
from course.drawn.pictures import Row
from course.drawn.questions import answer_of, found_of, reading_of
from course.drawn.scenes import bars, counter, line, moving, pair, pie, receipt, shapes, table, text
from course.drawn.scores import receipts, vision_scores
from course.picture_tokens import image_tokens

__all__ = [
    "LOOKS", "Row", "answer_of", "bars", "counter", "draw", "found_of", "image_tokens", "line", "moving", "pair",
    "pie", "plots", "reading_of", "receipt", "receipts", "shapes", "table", "text", "vision_scores",
]  # fmt: skip

"""Diagram of a model that acts: request, call, check, fence, result, answer, and the budget. Gives an SVG."""

from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import PAPER, WHITE, arrow, box, curve, picture, rect, text

CALL, RESULT, STEPS = '{"tool": "calculator", "input": "12 * 34"}', "408", 3  # as lesson 15 has them


def agent(_):
    desc = (
        f"A request goes to the model. The model writes a call, {CALL}. Your program checks whether the call is "
        f"allowed. Then the tool runs inside a fence, with limits. Its result, {RESULT}, goes back to the model, which "
        f"writes the next call, or the answer. After {STEPS} steps it ends."
    )
    y, h = 96, 92
    shapes = [box(24, y, 144, h, "request", "What is", "12 times 34?", edge=GREEN), arrow((174, 142), (206, 142))]
    shapes += [box(212, y, 130, h, "model", "writes a call,", "runs nothing", edge=BLUE)]
    shapes += [curve("M277 94V64", BLUE, 2), arrow((474, 64), (474, 92), edge=BLUE)]
    shapes += [rect(186, 30, 384, 34, BLUE, WHITE, 6), text(378, 52, CALL, "m")]
    shapes += [box(404, y, 140, h, "your program", "checks the call:", "is it allowed?", edge=ORANGE)]
    shapes += [arrow((550, 142), (596, 142)), rect(598, y - 8, 146, h + 16, GREY, None, 12, ' stroke-dasharray="7 5"')]
    shapes += [
        text(671, 80, "the fence", "h"),
        box(608, y + 4, 126, h - 8, "tool", "a function,", "with limits", edge=GREY),
    ]
    shapes += [arrow((671, 206), (671, 260), (312, 260), (312, 196), edge=ORANGE, width=2.5)]
    shapes += [rect(528, 244, 124, 32, ORANGE, WHITE, 6), text(590, 265, f"Result: {RESULT}", "m")]
    shapes += [rect(332, 237, 182, 46, GREY, PAPER), text(344, 265, "budget", "l")]
    shapes += [[rect(400 + 36 * at, 245, 30, 30, GREY), text(415 + 36 * at, 265, at + 1)] for at in range(STEPS)]
    shapes += [text(423, 302, f"after {STEPS} steps it ends", "s")]
    shapes += [arrow((242, 194), (242, 300), (174, 300), edge=GREEN, width=2.5)]
    shapes += [box(24, 274, 144, 52, "answer", RESULT, edge=GREEN)]
    return picture("A model that acts, one step at a time", desc, 346, shapes)

"""Diagram of a model that acts: request, call, check, fence, result, answer, and the budget. Gives an SVG."""

from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import PAPER, WHITE, arrow, box, picture, rect, text

CALL, RESULT, STEPS = '{"tool": "calculator", "input": "12 * 34"}', "408", 3  # as lesson 15 has them


def agent(_):
    desc = (
        f"A request goes to the model. The model writes a call, {CALL}. Your program checks whether the call is "
        f"allowed. Then the tool runs inside a fence, with limits. Its result, {RESULT}, goes back to the model, which "
        f"writes the next call, or the answer. After {STEPS} steps it ends."
    )
    y, h = 96, 92
    shapes = [box(24, y, 144, h, "request", "What is", "12 times 34?", edge=GREEN), arrow((174, 142), (206, 142))]
    shapes += [box(212, y, 130, h, "model", "writes a call,", "runs nothing", edge=BLUE), arrow((348, 142), (398, 142))]
    shapes += [
        rect(186, 30, 384, 34, BLUE, WHITE, 6),
        text(378, 52, CALL, "m"),
        arrow((372, 66), (372, 132), edge=BLUE),
    ]
    shapes += [box(404, y, 140, h, "your program", "checks the call:", "is it allowed?", edge=ORANGE)]
    shapes += [arrow((550, 142), (596, 142)), rect(598, y - 8, 146, h + 16, GREY, None, 12, ' stroke-dasharray="7 5"')]
    shapes += [
        text(671, 80, "the fence", "h"),
        box(608, y + 4, 126, h - 8, "tool", "a function,", "with limits", edge=GREY),
    ]
    shapes += [arrow((671, 206), (671, 252), (312, 252), (312, 196), edge=ORANGE, width=2.5)]
    shapes += [rect(414, 236, 130, 32, ORANGE, WHITE, 6), text(479, 257, f"Result: {RESULT}", "m")]
    shapes += [arrow((242, 194), (242, 300), (174, 300), edge=GREEN, width=2.5)]
    shapes += [box(24, 274, 144, 52, "answer", RESULT, edge=GREEN), rect(312, 290, 424, 46, GREY, PAPER)]
    shapes += [text(328, 318, f"budget: {STEPS} steps, then it ends", "l")]
    shapes += [[rect(606 + 40 * at, 298, 32, 30, GREY), text(622 + 40 * at, 318, at + 1)] for at in range(STEPS)]
    return picture("A model that acts, one step at a time", desc, 356, shapes)

"""Diagram of lesson 16: learners, the queue before a server, its slots, and Little's law. Gives an SVG."""

from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import LINE, PAPER, WHITE, arrow, box, curve, picture, rect, text

SLOTS, WAITING, WRITTEN = 16, 32, 11  # of endpoint.serve(), as it starts; and how many slots are filled


def scale(_):
    desc = (
        f"Learners think and ask. A question waits in a queue with {WAITING} places, then takes one of {SLOTS} slots, "
        f"where the answers are written in one batch. X answers leave per second. Each question stays inside for R "
        "seconds, and L are inside on average: L is X times R. When the queue is full, a question is refused with 429."
    )
    dashed = ' stroke-dasharray="7 5"'
    shapes = [box(24, 100, 124, 92, "learners", "ask, read,", "think", edge=GREEN), arrow((154, 146), (206, 146))]
    shapes += [rect(196, 44, 420, 190, GREY, PAPER, 12, dashed), text(406, 68, "inside: L questions", "h")]
    shapes += [rect(214, 106, 170, 80, LINE, WHITE), text(299, 96, "queue", "h")]
    shapes += [[rect(228 + 30 * at, 134, 22, 22, ORANGE, round=11)] for at in range(5)]
    shapes += [text(299, 206, f"{WAITING} may wait", "s"), arrow((390, 146), (426, 146))]
    shapes += [rect(432, 84, 168, 124, BLUE), text(516, 104, "one batch", "h")]
    for at in range(SLOTS):
        row, column = divmod(at, 4)
        shapes += [rect(448 + 36 * column, 114 + 18 * row, 28, 14, BLUE, BLUE if at < WRITTEN else WHITE, 3)]
    shapes += [text(516, 203, f"{SLOTS} slots", "s"), arrow((606, 146), (664, 146), edge=BLUE, width=2.5)]
    shapes += [text(700, 128, "X answers", "h"), text(700, 151, "leave"), text(700, 171, "per second")]
    shapes += [arrow((700, 182), (700, 306), (86, 306), (86, 198), edge=GREEN, width=2.5)]
    shapes += [curve("M214 252H600", ORANGE, 2), curve("M214 246V258M600 246V258", ORANGE, 2)]
    shapes += [text(406, 274, "each stays inside for R seconds"), text(406, 338, "Little's law:  L = X · R", "h")]
    shapes += [arrow((172, 145), (172, 40), (150, 40), edge=GREY)]
    shapes += [text(144, 36, "429", "m r"), text(144, 56, "queue full", "s r")]
    return picture("Many learners at one endpoint", desc, 356, shapes)

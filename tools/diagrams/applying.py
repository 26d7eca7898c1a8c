"""Diagrams of what a model is used for: four small applications. Each gives an SVG."""

from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import arrow, box, picture, text

APPLICATIONS = (
    ("Chatbot", "a question", "finds the fact,", "or stops", "words it", "checks numbers", "an answer"),
    ("Content", "three words", "sets the form", "", "writes drafts", "checks rules", "one draft"),
    ("Education", "a pupil's sum", "does the sum", "", "words it kindly", "checks words", "a comment"),
    ("Accessibility", "a chart", "asks one thing", "", "reads the chart", "words it", "a voice"),
)


def applications(_):
    """Where code decides and where the model works; the colours say it again."""
    edges, heads = (GREEN, ORANGE, BLUE, ORANGE, GREY), ("goes in", "code first", "model", "code again", "comes out")
    places, wide = (122, 244, 380, 510, 648), (96, 108, 106, 112, 98)
    shapes = [text(x + w / 2, 34, head, "h") for x, w, head in zip(places, wide, heads, strict=True)]
    for row, (name, asked, first, more, says, checks, out) in enumerate(APPLICATIONS):
        y, lines = 52 + 74 * row, ((asked,), (first, more) if more else (first,), (says,), (checks,), (out,))
        shapes += [text(12, y + 33, name, "h l")]
        for x, w, words, edge in zip(places, wide, lines, edges, strict=True):
            shapes += [box(x, y, w, 54, *words, edge=edge, head="s")]
        shapes += [arrow((x + w + 3, y + 27), (after - 3, y + 27))
                   for x, w, after in zip(places, wide, places[1:], strict=False)]  # fmt: skip
    desc = "In each of four applications code works first, then the model, then code again. "
    desc += "; ".join(f"{name}: {asked} goes in, {out} comes out" for name, asked, *_, out in APPLICATIONS) + "."
    return picture("Four small applications, and who does what in them", desc, 356, shapes)

"""Diagrams of lesson 14: how an answer is found in notes, and what words miss that meaning finds. Each gives an SVG."""

from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import LINE, arrow, box, curve, picture, text, token, token_width


def search(_):
    desc = (
        "Once: the files of a folder are cut into passages, and an index is made of them. For each question: the index "
        "gives the best passages, the model reads them with the question, and its answer is shown with its source."
    )
    shapes = [text(24, 34, "once", "h l"), text(24, 182, "for each question", "h l")]
    once = (("folder", "your files", GREEN), ("passages", "short pieces", LINE), ("index", "by word and meaning", BLUE))
    for x, (name, more, edge) in zip((24, 206, 388), once, strict=True):
        shapes += [box(x, 48, 164, 70, name, more, edge=edge)]
    shapes += [arrow((190, 83), (204, 83)), arrow((372, 83), (386, 83))]
    each = (("question", "yours", GREEN, 24, 128), ("best passages", "three of them", LINE, 206, 164),
            ("model", "reads both", BLUE, 424, 130), ("answer", "and its source", ORANGE, 606, 130))  # fmt: skip
    shapes += [box(x, 196, w, 70, name, more, edge=edge) for name, more, edge, x, w in each]
    shapes += [arrow((470, 120), (470, 156), (288, 156), (288, 194))]
    shapes += [arrow((154, 231), (204, 231)), arrow((372, 231), (422, 231)), arrow((556, 231), (604, 231))]
    shapes += [arrow((88, 268), (88, 306), (489, 306), (489, 268)), text(288, 298, "the question goes along", "s")]
    return picture("Search, then ask", desc, 328, shapes)


def meaning(_):
    question, passage = ("leftover", "varnish", "throw"), ("paint", "container", "gate")
    desc = (
        "A question has the words leftover, varnish and throw, a passage the words paint, container and gate. "
        "They share no word. As arrows, question and passage point nearly the same way; another passage does not."
    )
    shapes = [text(190, 36, "by word", "h"), text(570, 36, "by meaning", "h"), curve("M380 20V276", LINE)]
    for y, name, words in ((74, "question", question), (190, "passage", passage)):
        x = 30
        shapes += [text(30, y - 6, name, "s l")]
        for word in words:
            shapes += [token(x, y, word)]
            x += token_width(word) + 8
    shapes += [text(190, 152, "no word in common: not found", "o")]
    shapes += [arrow((430, 246), (650, 84), edge=GREEN, width=3), arrow((430, 246), (694, 118), edge=BLUE, width=3)]
    shapes += [arrow((430, 246), (470, 74), edge=GREY, width=3)]
    shapes += [text(636, 74, "question", "r"), text(692, 104, "its passage"), text(474, 64, "another passage")]
    shapes += [curve("M518 181A110 110 0 0 1 529 198", ORANGE, 3), text(542, 220, "small angle: found", "l")]
    shapes += [curve("M444 187A60 60 0 0 1 478 210"), text(506, 150, "large angle", "s")]
    return picture("What words miss, and meaning finds", desc, 292, shapes)

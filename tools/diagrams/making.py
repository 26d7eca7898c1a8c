"""Diagrams of how a model is made: the road of six steps, and LoRA. Each gives an SVG."""

from slmlab import card
from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import LINE, WHITE, arrow, box, curve, picture, rect, text

SHAPE, PHI = card("smollm2-135m").architecture, card("phi-3.5-mini")
RANK, TUNED = 8, 15  # as lesson 11 has them: the rank, and how many layers get a detour


def making(_):
    """What a step takes here is said by the cells of lessons 10 to 12; the row of Phi-3.5-mini is from its card."""
    read, machines = PHI.training.data.replace("T ", " trillion\n"), PHI.training.hardware.replace(", ", ",\n")
    size, entries = f"{PHI.parameters / 1e9:.1f} billion", f"{PHI.architecture.vocab:,}"
    steps = (
        ("collect", "docstrings,\nmade stories", read),
        ("clean", "copies out", ""),
        ("tokens", "512 entries", f"{entries}\nentries"),
        ("train", "919 thousand\nparameters,\na minute", f"{size}\nparameters,\n{machines}"),
        ("tune", "LoRA,\na minute", ""),
        ("shrink", "8 bits", f"4 bits,\n{PHI.downloads[0].bytes / 1e9:.1f} GB"),
    )
    desc = "Collect, clean, cut into tokens and train are lesson 10, tune is lesson 11, shrink is lesson 12. "
    desc += f"Training takes a minute here; Phi-3.5-mini read {' '.join(read.split())}, on {PHI.training.hardware}."
    places = (26, 142, 258, 374, 506, 638)  # wider gaps where a lesson ends
    shapes = [
        [rect(x - 8, 16, w, 116, edge, None, 12), text(x - 8 + w / 2, 40, f"lesson {lesson}", "h")]
        for lesson, x, w, edge in ((10, 26, 460, BLUE), (11, 506, 112, ORANGE), (12, 638, 112, GREEN))
    ]
    shapes += [arrow((x + 98, 86), (after - 2, 86)) for x, after in zip(places, places[1:], strict=False)]
    for y, whose in ((152, "here"), (254, "Phi-3.5-mini")):
        shapes += [curve(f"M18 {y}H742"), text(18, y + 26, whose, "h l")]
    for x, (name, here, there) in zip(places, steps, strict=True):
        shapes += [rect(x, 56, 96, 60, GREY, WHITE), text(x + 48, 92, name, "h")]
        for y, said in ((202, here), (304, there)):
            shapes += [text(x + 48, y + 20 * row, line) for row, line in enumerate(said.split("\n"))]
    return picture("Six steps on the way to a small model", desc, 390, shapes)


def lora(_):
    wide, frozen = SHAPE.hidden, SHAPE.parameters
    trained = TUNED * sum(RANK * (rows + columns) for rows, columns in _matrices())
    part = trained / (frozen + trained)
    desc = (
        f"The numbers go through a frozen matrix of {wide} by {wide}, and beside it through a detour: one thin "
        f"matrix leads down to {RANK} numbers, a second one leads up to {wide} again. Both results are added. "
        f"In the whole model {part:.1%} of all numbers are trained."
    )
    shapes = [text(360, 36, f"{wide} numbers come in"), rect(120, 84, 172, 172, GREY)]
    shapes += [arrow((360, 46), (360, 62), (206, 62), (206, 82)), arrow((360, 46), (360, 62), (514, 62), (514, 90))]
    shapes += [
        text(206, 152, "frozen matrix", "h"),
        text(206, 176, f"{wide} × {wide}"),
        text(206, 200, "stays as it is", "s"),
    ]
    for y, way, rows, columns in ((94, "down", RANK, wide), (232, "up", wide, RANK)):
        shapes += [rect(428, y, 172, 14, BLUE, BLUE, 3), text(612, y + 13, f"{way}: {rows} × {columns}", "l")]
    shapes += [arrow((514, 110), (514, 148)), box(456, 152, 116, 36, f"{RANK} numbers"), arrow((514, 190), (514, 228))]
    shapes += [arrow((206, 258), (206, 286), (344, 286)), arrow((514, 248), (514, 286), (376, 286))]
    shapes += [f'<circle cx="360" cy="286" r="13" fill="{WHITE}" stroke="{GREY}"/>', text(360, 292, "+", "h")]
    shapes += [
        arrow((360, 300), (360, 318)),
        text(360, 336, f"{wide} numbers go on"),
        rect(24, 356, 712, 34, LINE, None, 6),
    ]
    sizes = f"{trained / 1e6:.1f} of {(frozen + trained) / 1e6:.1f} million"
    said = f"{part:.1%} of the model's numbers are trained: {sizes}"
    shapes += [rect(24, 356, 712 * part, 34, BLUE, BLUE, 3), text(42 + 712 * part, 378, said, "l")]
    return picture("LoRA: a detour beside a frozen matrix", desc, 408, shapes)


def _matrices():
    """Rows and columns of the seven matrices in a layer."""
    wide, shared = SHAPE.hidden, SHAPE.kv_heads * SHAPE.head_size
    return [(wide, wide)] * 2 + [(shared, wide)] * 2 + [(SHAPE.ffn, wide)] * 3

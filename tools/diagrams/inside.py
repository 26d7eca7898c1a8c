"""Diagrams of what is inside a model: block, attention, cache, 4-bit grids, vision, experts. Each gives an SVG."""

import json

from slmlab import card
from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE
from tools.diagrams.shapes import LINE, TINT, WHITE, arrow, box, curve, picture, rect, share, text, token
from tools.normal_form import ROOT

SHAPE = card("smollm2-135m").architecture


def block(_):
    table = SHAPE.embedding_parameters / 1e6
    attention, ffn = (SHAPE.layers * part / 1e6 for part in (SHAPE.attention_parameters, SHAPE.expert_parameters))
    desc = (
        f"A table of {SHAPE.vocab:,} rows turns each token into {SHAPE.hidden} numbers. {SHAPE.layers} "
        f"equal blocks follow, each with attention ({SHAPE.heads} heads, {SHAPE.kv_heads} KV heads) and "
        f"an MLP {SHAPE.ffn:,} wide. The same table turns the result into probabilities. {attention:.1f} "
        f"million numbers are in attention, {ffn:.1f} in the MLPs, {table:.1f} in the table."
    )
    y, shapes = 144, [text(76, 56, "tokens in"), arrow((76, 66), (76, 98))]
    shapes += [box(24, 102, 104, 84, "table", f"{SHAPE.vocab:,}", f"× {SHAPE.hidden}", edge=GREEN)]
    shapes += [rect(164 + 6 * back, 24 + 6 * back, 420, 182, BLUE, WHITE, 14) for back in (2, 1, 0)]
    shapes += [text(374, 52, f"one block; {SHAPE.layers} of them, one after the other", "h"), arrow((132, y), (178, y))]
    inner = (178, ORANGE, "attention", f"{SHAPE.heads} heads,", f"{SHAPE.kv_heads} KV heads")
    for x, edge, *lines in (inner, (376, BLUE, "MLP", f"{SHAPE.hidden} → {SHAPE.ffn:,}", f"→ {SHAPE.hidden}")):
        shapes += [rect(x, y - 42, 28, 84, LINE, TINT[GREY])]
        shapes += [f'<text class="s" transform="translate({x + 19},{y}) rotate(-90)">norm</text>']
        shapes += [
            arrow((x + 28, y), (x + 40, y)),
            box(x + 40, y - 42, 108, 84, *lines, edge=edge),
            arrow((x + 148, y), (x + 162, y)),
        ]
        shapes += [
            f'<circle cx="{x + 173}" cy="{y}" r="11" fill="{WHITE}" stroke="{GREY}"/>',
            text(x + 173, y + 5.5, "+", "h"),
        ]
        shapes += [arrow((x - 6, y), (x - 6, y - 64), (x + 173, y - 64), (x + 173, y - 11))]
    shapes += [arrow((362, y), (376, y)), arrow((560, y), (624, y))]
    shapes += [box(628, 102, 108, 84, "same table", f"{SHAPE.hidden}", f"× {SHAPE.vocab:,}", edge=GREEN)]
    shapes += [arrow((682, 98), (682, 66)), text(682, 56, "next token?")]
    shapes += [text(24, 262, f"Where the {SHAPE.parameters / 1e6:.1f} million numbers are", "h l")]
    x = 24
    for name, size, edge in (("table", table, GREEN), ("attention", attention, ORANGE), ("MLP", ffn, BLUE)):
        w = 716 * size * 1e6 / SHAPE.parameters
        shapes += [rect(x, 276, w - 4, 42, edge, round=6), text(x + w / 2 - 2, 302, f"{name} {size:.1f}")]
        x += w
    return picture("The transformer block of the course's model", desc, 342, shapes)


def attention(seen):
    seen = seen["attention"]
    words, weights, at = seen["words"], seen["weights"], seen["asking"]
    most = max(range(at), key=lambda place: weights[place])
    group = SHAPE.heads // SHAPE.kv_heads
    desc = (
        f"“{' '.join(words)}”: at “{words[at]}”, this head puts {share(weights[most])} of its weight "
        f"on “{words[most]}”. It can't see later words. Below: {SHAPE.heads} heads in groups of {group}; "
        "each group shares one set of keys and values."
    )
    shapes = [text(736, 42, f"layer {seen['layer']}, head {seen['head']} (counted from 0)", "s r")]
    words_at = []
    for place, word in enumerate(words):
        x = 90 + 116 * place
        edge = ORANGE if place == at else BLUE if place == most else LINE
        words_at += [rect(x - 48, 150, 96, 36, edge, TINT[GREY] if place > at else None, 6), text(x, 173, word, "m")]
        words_at += [
            text(x, 210, "later: not seen" if place > at else share(weights[place]), "h" if place == most else "s")
        ]
    for place in sorted(range(at), key=lambda place: weights[place]):
        start, x, top = 90 + 116 * at, 90 + 116 * place, 130 - 32 * (at - place) ** 0.9
        path = f"M{start} 150C{start} {top:.4g} {x} {top:.4g} {x} 150"
        shapes += [curve(path, ORANGE if place == most else "#e8a27c", max(14 * weights[place], 1.2))]
    shapes += [words_at, text(90 + 116 * at, 238, "asks: what matters to me?", "o"), curve("M24 262H736")]
    shapes += [text(24, 304, f"Every layer has {SHAPE.heads} such heads.", "l")]
    shapes += [text(24, 330, f"{group} heads share one set", "s l"), text(24, 350, "of keys and values (KV).", "s l")]
    for one in range(SHAPE.heads):
        x, middle = 282 + 48 * one + 17 * (one // group), 348 + 161 * (one // group)
        shapes += [curve(f"M{x + 18} 318L{middle} 348", GREY), box(x, 284, 36, 34, one, edge=ORANGE, head="")]
        shapes += (
            [box(middle - 60, 348, 120, 34, f"KV head {one // group}", edge=GREEN, head="")] if one % group == 0 else []
        )
    return picture("Attention: where one word looks", desc, 402, shapes)


def kv_cache(seen):
    seen = seen["kv_cache"]
    first, second = seen["turns"]
    words, new = [one.strip() for one in first["written"]], second["prompt"] - second["reused"]
    desc = (
        "For each token the cache keeps one row, with its key and its value. To write a token, only "
        f"one new row is computed. In the next turn of the chat, {second['reused']} of the {second['prompt']} "
        f"tokens of the prompt are in the cache; {new} are read."
    )
    shapes = []
    for step in range(3):
        x, rows = 24 + 254 * step, words[: 4 + step]
        shapes += [text(x + 122, 40, "key", "s"), text(x + 178, 40, "value", "s")]
        for row, word in enumerate(rows):
            edge = ORANGE if step and row == len(rows) - 1 else BLUE
            y = 48 + 25 * row
            shapes += [
                text(x + 84, y + 16, word, "m r"),
                rect(x + 96, y, 52, 22, edge, round=5),
                rect(x + 152, y, 52, 22, edge, round=5),
            ]
        shapes += [arrow((x + 216, 104), (x + 250, 104))] if step < 2 else []
        shapes += [text(x + 150, 222, "one new row" if step else f"{len(rows)} rows", "o" if step else "s")]
    shapes += [curve("M24 238H736"), text(24, 268, "In a chat, the next turn begins with the same tokens", "h l")]
    x, unit = 94, 640 / (second["prompt"] + len(second["written"]))
    for row, (turn, read) in enumerate(((first, first["prompt"]), (second, new))):
        x, y = 94, 284 + 60 * row
        parts = (
            (turn["reused"], "in the cache", GREEN),
            (read, "read now", ORANGE),
            (len(turn["written"]), "written", BLUE),
        )
        shapes += [text(24, y + 26, f"turn {row + 1}", "l")]
        for size, what, edge in parts:
            w = unit * size
            shapes += (
                [rect(x, y, w - 3, 40, edge, round=5), text(x + w / 2 - 1, y + 26, f"{size} {what}")] if size else []
            )
            x += w
        edge_at = 94 + unit * second["reused"] - 1.5
    shapes += [curve(f"M{edge_at:.4g} 328V340", GREEN, 2), curve("M95 328V340", GREEN, 2)]
    return picture("The KV cache grows by one row for each token", desc, 408, shapes)


def grid(seen):
    seen = seen["grid"]
    values = [seen["minimum"] + seen["scale"] * number for number in seen["numbers"]]
    first = [seen["minimum"] + seen["scale"] * number for number in range(16)]
    peak = max(values, key=abs)
    step = -peak / 8  # as plain int4 does: the value farthest from zero lies on the last mark
    second = sorted(step * number for number in range(-8, 8))
    low, high = min(first + second), max(first + second)
    nearest = {value: min(second, key=lambda mark: abs(mark - value)) for value in sorted(set(values))}
    moved = sum(abs(nearest[value] - value) for value in values) / 32 / seen["scale"]
    desc = (
        "32 weights lie exactly on the 16 marks of their own grid. A second grid of 16 marks has to "
        "hold zero, so its marks lie elsewhere: each weight moves to the nearest one, on average by "
        f"{moved:.0%} of the gap between two marks."
    )

    def at(value):
        return 40 + 680 * (value - low) / (high - low)

    shapes = [text(24, 40, "32 weights of the model, on their own grid of 16 marks", "h l")]
    for value in nearest:
        shapes += [curve(f"M{at(value):.4g} 162L{at(nearest[value]):.4g} 246", ORANGE, 2)]
        shapes += [
            f'<circle cx="{at(value):.4g}" cy="{138 - 16 * n}" r="6.5" fill="{TINT[BLUE]}" stroke="{BLUE}"/>'
            for n in range(values.count(value))
        ]
    shapes += [curve("M40 154H720"), curve("M40 254H720")]
    shapes += [curve(f"M{at(mark):.4g} 147V161", BLUE, 3) for mark in first]
    shapes += [curve(f"M{at(mark):.4g} 247V261", ORANGE, 3) for mark in second]
    shapes += [
        text(at(0), 282, "0", "h"),
        text(24, 314, "A second grid must have a mark at 0. Its marks lie elsewhere.", "h l"),
    ]
    shapes += [text(24, 338, f"So every weight moves: on average by {moved:.0%} of the gap between two marks.", "l")]
    return picture("Rounding to 4 bits a second time", desc, 362, shapes)


def vision(seen):
    seen = seen["vision"]
    shape, config = (
        card("tiny-vlm").architecture,
        json.loads((ROOT / "data/models/tiny-vlm/config.json").read_text(encoding="utf-8")),
    )
    sees, side = config["vision_config"], config["vision_config"]["image_size"]
    patch, (encoder, projector) = sees["patch_size"], (one.parameters for one in shape.parts)
    each = side // patch
    decoder = shape.parameters - encoder - projector
    desc = (
        f"A picture of {side} by {side} pixels is cut into {each * each} patches. The encoder lets each "
        "patch look at the others, the "
    )
    desc += (
        "projector carries it to where words live, and the decoder reads patches and question, and writes the answer."
    )
    shapes, cell = [text(96, 56, f"{side} × {side} pixels", "h"), rect(24, 70, 144, 144, LINE, WHITE, 0)], 144 / each
    for place, (_, value, colour) in enumerate(seen["bars"]):
        fill = {"red": "#d9534f", "blue": "#3b7dd8", "green": "#4aa564"}[colour]
        shapes += [rect(45 + 38 * place, 202 - 1.6 * value, 26, 1.6 * value, fill, fill, 0)]
    lines = "".join(f"M{24 + cell * n:g} 70V214M24 {70 + cell * n:g}H168" for n in range(1, each))
    shapes += [
        curve(lines, "#7f8a96", 0.7),
        text(96, 238, f"{each} × {each} = {each * each} patches"),
        arrow((174, 142), (204, 142)),
    ]
    for x, w, edge, name, what, size, *below in (
        (210, 136, ORANGE, "encoder", f"{sees['num_hidden_layers']} layers", encoder, "patches look", "at each other"),
        (382, 136, GREEN, "projector", "2 matrices", projector, "into the space", "of the words"),
        (554, 182, BLUE, "decoder", f"{shape.layers} layers", decoder),
    ):
        shapes += [box(x, 92, w, 100, name, what, f"{_millions(size)} numbers", edge=edge)]
        shapes += [text(x + w / 2, 218 + 20 * row, one, "s") for row, one in enumerate(below)]
    shapes += [arrow((350, 142), (376, 142)), arrow((522, 142), (548, 142))]
    shapes += [box(554, 22, 182, 36, seen["question"], edge=LINE, head=""), arrow((645, 60), (645, 87))]
    shapes += [arrow((645, 197), (645, 265)), rect(382, 270, 354, 92, GREEN)]
    for row, (what, said) in enumerate(
        zip(("it reads", "it finds", "it answers"), seen["answer"].split(" => "), strict=True)
    ):
        shapes += [text(370, 296 + 25 * row, what, "s r"), text(396, 296 + 25 * row, said, "m l")]
    return picture("How a picture becomes words", desc, 384, shapes)


def _millions(size):
    return f"{size / 1e6:.{1 if size >= 1e6 else 2}f}M"


def experts(seen):
    seen = seen["experts"]
    tiny, phi = card("tiny-moe"), card("phi-3.5-moe")
    many = tiny.architecture.experts
    desc = (
        f"The router gives one token {many} scores and sends it to the best {len(seen['experts'])} experts, "
        f"here {seen['experts'][0]} and {seen['experts'][1]}; their results are added by weight. {phi.name} "
        f"has {phi.architecture.experts} experts a layer, and {_billions(phi.active_parameters)} of its "
        f"{_billions(phi.parameters)} parameters work on a token."
    )
    shapes = [text(60, 116, "token", "s"), token(36, 126, seen["token"], 48, h=40), arrow((90, 146), (120, 146))]
    shapes += [box(126, 104, 116, 84, "router", f"{many} scores", edge=GREEN), text(352, 34, f"{many} experts", "h")]
    shapes += [text(736, 34, f"{tiny.id}, layer {seen['layer']} (counted from 0)", "s r")]
    picked = []
    for one in range(many):
        y = 46 + 14 * one
        if one in seen["experts"]:
            weight = seen["weights"][seen["experts"].index(one)]
            picked += [
                curve(f"M244 146C280 146 270 {y + 5} 312 {y + 5}", ORANGE, 3),
                rect(312, y - 1, 80, 12, ORANGE, ORANGE, 4),
            ]
            picked += [
                curve(f"M392 {y + 5}C520 {y + 5} 520 146 570 146", ORANGE, 3),
                text(404, y - 4 if y < 146 else y + 24, f"expert {one}: × {weight:.2f}", "l"),
            ]
        else:
            shapes += [curve(f"M244 146C280 146 270 {y + 5} 312 {y + 5}", LINE, 1), rect(312, y, 80, 10, LINE, None, 4)]
    shapes += [picked, f'<circle cx="586" cy="146" r="17" fill="{WHITE}" stroke="{ORANGE}"/>', text(586, 153, "+", "h")]
    shapes += [
        arrow((606, 146), (640, 146)),
        text(648, 142, "to the next", "l"),
        text(648, 162, "layer", "l"),
        curve("M24 284H736"),
    ]
    for row, (one, form) in enumerate(((tiny, _two), (phi, _billions))):
        y, w = 300 + 52 * row, 600 * one.active_parameters / one.parameters
        shapes += [
            text(24, y + 25, one.name.removeprefix("SLM Lab ").removesuffix("-instruct"), "l"),
            rect(136, y, 600, 38, BLUE, None, 6),
        ]
        shapes += [rect(136, y, w, 38, ORANGE, None, 6)]
        used = f"{one.architecture.experts_per_token} of {one.architecture.experts} experts"
        said = f"{form(one.active_parameters)} of {form(one.parameters)} numbers work on a token ({used})"
        shapes += [text(136 + w + 14, y + 25, said, "l")]
    return picture("A router sends each token to two experts", desc, 410, shapes)


def _two(size):
    return f"{size / 1e6:.2f}M"


def _billions(size):
    return f"{size / 1e9:.1f}B"

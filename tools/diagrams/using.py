"""Diagrams of how a model is used: loop, template, sampling, folder, endpoint; and the map. Each gives an SVG."""

import json
import re

from slmlab import card
from slmlab.plots.style import BLUE, GREEN, GREY, ORANGE, count, visible
from tools.diagrams.shapes import LINE, PAPER, WHITE, arrow, box, picture, rect, share, text, token, token_width
from tools.normal_form import ROOT

BUNDLED = card("smollm2-135m")


def loop(seen):
    seen = seen["loop"]
    words, rows = [one for one, _ in seen["tokens"]], seen["next"]
    chosen, half = rows[0][0].strip(), (len(words) + 1) // 2
    desc = (
        f"The text “{''.join(words)}” is cut into {len(words)} tokens. The model gives a probability "
        f"for every possible next token: {chosen} has {share(rows[0][1])}. One is picked and added to "
        "the text. Then it starts again."
    )
    shapes = [text(94, 40, "text", "h"), rect(24, 80, 140, 104, GREEN)]
    shapes += [text(94, 107, "".join(words[:half]).strip()), text(94, 129, "".join(words[half:]).strip())]
    shapes += [rect(58, 143, 72, 30, ORANGE, WHITE, 6, ' stroke-dasharray="4 4"'), text(94, 163, "?", "o")]
    shapes += [arrow((170, 132), (202, 132)), text(266, 40, "tokens", "h")]
    for row, (word, id) in enumerate(seen["tokens"]):
        shapes += [token(208, 56 + 32 * row, word.strip(), 80, h=27), text(296, 75 + 32 * row, id, "s l")]
    shapes += [arrow((342, 132), (374, 132))]
    shapes += [box(380, 80, 124, 104, "model", f"{count(BUNDLED.parameters)} numbers")]
    shapes += [arrow((510, 132), (540, 132)), text(656, 40, "probabilities", "h")]
    for row, (word, value) in enumerate(rows):
        y, w = 66 + 36 * row, max(110 * value, 3)
        shapes += [text(608, y + 19, word.strip(), "r"), rect(616, y, w, 27, GREY if row else ORANGE, round=4)]
        shapes += [text(616 + w / 2, y + 19, share(value)) if w > 60 else text(624 + w, y + 19, share(value), "l")]
    shapes += [arrow((656, 216), (656, 268), (94, 268), (94, 192), edge=ORANGE, width=2.5)]
    shapes += [
        rect(288, 246, 210, 44, PAPER, PAPER),
        text(342, 273, "pick one:"),
        token(394, 252, chosen, 80, ORANGE, 32),
    ]
    shapes += [text(380, 314, "add it to the text, and start again", "s")]
    return picture("The loop that writes a text", desc, 336, shapes)


def lesson_titles():
    """Number and short title of each lesson, as its first line has it."""
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
        yield path.name[:2], re.match(r"# ([^:\n]+)", "".join(first))[1].strip()


def course_map(here=None):
    lessons, w, h, shapes = list(lesson_titles()), 128, 74, []
    for place, (number, title) in enumerate(lessons):
        row, column = divmod(place, 5)
        x, y, lit = 24 + 146 * column, 20 + 102 * row, number == here
        middle, lines = x + w / 2, _lines(title)
        shapes += [rect(x, y, w, h, BLUE if lit else LINE, BLUE if lit else WHITE)]
        shapes += [text(x + 10, y + 20, number, "h l w" if lit else "s l")]
        shapes += [text(x + w - 10, y + 20, "here", "s r w")] if lit else []
        top = y + (52 if len(lines) == 1 else 43)
        shapes += [text(middle, top + 19 * line, one, "w" if lit else "") for line, one in enumerate(lines)]
        if place + 1 < len(lessons) and column < 4:
            shapes += [arrow((x + w + 2, y + h / 2), (x + w + 16, y + h / 2))]
        elif place + 1 < len(lessons):
            shapes += [arrow((middle, y + h + 2), (middle, y + h + 13), (88, y + h + 13), (88, y + h + 25))]
    desc = ", ".join(f"{number} {title}" for number, title in lessons)
    desc += f". You are at {here}." if here else "."
    return picture("The lessons of the course, in order", desc, 102 * -(-len(lessons) // 5) + 8, shapes)


def _lines(title, most=14):
    """The title in one line, or in two where it is long."""
    words = title.split()
    cut = next((n for n in range(len(words), 0, -1) if len(" ".join(words[:n])) <= most), 1)
    return [one for one in (" ".join(words[:cut]), " ".join(words[cut:])) if one]


def template(seen):
    seen = seen["template"]
    tokens, open_at = (
        seen["tokens"],
        [place for place, (word, _) in enumerate(seen["tokens"]) if word == "<|im_start|>"],
    )
    turns = [tokens[start:end] for start, end in zip(open_at, [*open_at[1:], None], strict=True)]
    desc = (
        f"{len(seen['messages'])} messages are written into one text with markers: each turn begins with "
        "<|im_start|> and ends with <|im_end|>, and the turn of the assistant is left open. The text "
        f"is cut into {len(tokens)} tokens, each a number."
    )
    shapes = [text(112, 38, "messages", "h"), text(518, 38, "one text", "h")]
    for row, (role, content) in enumerate(seen["messages"]):
        shapes += [
            rect(24, 52 + 64 * row, 176, 56, GREEN),
            text(36, 74 + 64 * row, role, "s l"),
            text(36, 96 + 64 * row, content, "l"),
        ]
    shapes += [arrow((206, 112), (294, 112)), text(250, 102, "template"), rect(300, 52, 436, 124, LINE)]
    for row, line in enumerate("".join(word for word, _ in tokens).splitlines()):
        shapes += [text(316, 72 + 23 * row, line, "m l")]
    shapes += [arrow((518, 180), (518, 212)), text(530, 202, "tokenizer", "l")]
    for row, turn in enumerate(turns):
        x, y = 24, 218 + 58 * row
        for word, id in turn:
            word = visible(word)
            mark = word.startswith("<|")
            shapes += [
                token(x, y, word, edge=ORANGE if mark else LINE, h=28),
                text(x + token_width(word) / 2, y + 45, id, "s"),
            ]
            x += token_width(word) + 6
        shapes += [text(x + 8, y + 19, "← the model goes on here", "o l")] if row == len(turns) - 1 else []
    shapes += [text(736, 237, f"{len(tokens)} tokens:", "h r"), text(736, 259, "all that it reads", "s r")]
    return picture("From messages to tokens", desc, 400, shapes)


def sampling(seen):
    seen = seen["sampling"]
    k, p, others = seen["top_k"], seen["top_p"], BUNDLED.architecture.vocab - len(seen["words"])
    heads = (("the model", "nothing changed"), (f"temperature {seen['temperature']}", "the gaps grow"))
    heads += ((f"top-k {k}", f"keep the first {k}"), (f"top-p {p}", f"keep the first {p:.0%}"))
    left = [sum(value > 0 for value in column) for column in seen["columns"]]
    desc = (
        f"Probabilities of the next token after “{seen['text']}”. {seen['words'][0].strip()} has "
        f"{share(seen['columns'][0][0])}, and {share(seen['columns'][1][0])} with temperature {seen['temperature']}. "
        f"Top-k {k} leaves {left[2]} tokens to draw from, top-p {p} leaves {left[3]}."
    )
    shapes = [text(84, 87 + 33 * row, word.strip(), "r") for row, word in enumerate(seen["words"])]
    for place, ((name, what), column) in enumerate(zip(heads, seen["columns"], strict=True)):
        x = 104 + 164 * place
        shapes += [text(x, 36, name, "h l"), text(x, 56, what, "s l")]
        for row, value in enumerate(column):
            y, w, edge = 70 + 33 * row, max(104 * value, 3), ORANGE if place else BLUE
            if value:
                shapes += [
                    rect(x, y, w, 25, edge, round=4),
                    text(x + w + 7, y + 18, f"{value:.0%}" if value >= 0.01 else "< 1%", "s l"),
                ]
            else:
                shapes += [
                    rect(x, y, 40, 25, LINE, PAPER, 4, ' stroke-dasharray="4 4"'),
                    text(x + 20, y + 17, "cut", "s"),
                ]
    shapes += [text(24, 360, f"The next token after “{seen['text']}”; {others:,} others are not shown", "s l")]
    return picture("Four ways to choose from the same probabilities", desc, 382, shapes)


def onnx(seen):
    sizes = seen["onnx"]
    files = (("model.onnx.data", "the weights"), ("tokenizer.json", "text to numbers"), ("model.onnx", "the graph"))
    files += (("genai_config.json", "settings"),)
    weights = _bytes(sizes["model.onnx.data"])
    desc = (
        f"The published weights go through a builder, which makes a folder: {weights} of weights, the "
        "tokenizer, the graph and settings. The loop runs on that folder: the graph gives scores, the "
        "search picks a token, the text grows."
    )
    shapes = [box(24, 130, 112, 84, "checkpoint", "weights as", "published"), arrow((141, 172), (163, 172))]
    shapes += [
        box(168, 130, 140, 84, "builder", "writes the graph,", "packs the weights"),
        arrow((313, 172), (335, 172)),
    ]
    shapes += [rect(340, 52, 216, 240, GREEN, None, 12), text(448, 38, "a folder", "h"), arrow((562, 172), (588, 172))]
    for row, (name, what) in enumerate(files):
        y = 64 + 56 * row
        shapes += [rect(350, y, 196, 48, LINE, None, 6), text(360, y + 20, name, "m l"), text(360, y + 39, what, "s l")]
        shapes += [text(538, y + 39, _bytes(sizes[name]), "s r")]
    shapes += [text(656, 38, "the loop", "h")]
    for row, (name, what, edge) in enumerate(
        (("graph", "gives scores", BLUE), ("search", "picks a token", ORANGE), ("text", "one token more", GREEN))
    ):
        shapes += [box(594, 52 + 90 * row, 120, 60, name, what, edge=edge)]
        shapes += [arrow((654, 114 + 90 * row), (654, 140 + 90 * row))] if row < 2 else []
    shapes += [arrow((716, 262), (737, 262), (737, 82), (718, 82))]
    return picture("From a checkpoint to the loop", desc, 316, shapes)


def _bytes(size):
    return (
        f"{size / 1e6:.{0 if size >= 1e7 else 1}f} MB"
        if size >= 1e6
        else f"{size / 1e3:.{0 if size >= 1e4 else 1}f} kB"
    )


def endpoint(seen):
    words = [one.strip() for one in seen["kv_cache"]["turns"][0]["written"] if one]
    name = card("phi-3.5-mini").ids.github
    desc = (
        f"Your code sends an address, a key, the name of a model ({name}) and the messages. The service "
        f"sends the answer back as a stream of pieces: {', '.join(words)}; then [DONE]."
    )
    shapes = [rect(24, 52, 268, 176, GREEN, None, 12), text(158, 38, "your code", "h")]
    for row, (what, value) in enumerate(
        (("address", "https://…/v1"), ("key", "•" * 9), ("model", name), ("messages", "What is the …?"))
    ):
        y = 62 + 40 * row
        shapes += [
            text(34, y + 23, what, "s l"),
            rect(110, y + 2, 174, 32, LINE, None, 6),
            text(118, y + 23, value, "l" if what == "model" else "m l"),
        ]
    shapes += [arrow((300, 140), (548, 140)), text(424, 128, "one request"), text(646, 38, "the service", "h")]
    shapes += [box(556, 52, 180, 176, "model", "writes one token", "after the other")]
    shapes += [arrow((646, 234), (646, 296), (158, 296), (158, 236), edge=ORANGE, width=2.5)]
    x = 380 - sum(token_width(one) + 6 for one in words) / 2
    shapes += [rect(x - 8, 276, sum(token_width(one) + 6 for one in words) + 12, 40, PAPER, PAPER)]
    for one in words:
        shapes += [token(x, 281, one, edge=ORANGE)]
        x += token_width(one) + 6
    shapes += [text(380, 342, "the answer comes back as a stream, piece by piece", "s")]
    return picture("One call to an endpoint", desc, 364, shapes)


def nim(seen):
    homes = (("hosted by NVIDIA", "NVIDIA's GPU", "a key, and a limit", "prompts go there"),
             ("self-hosted", "your own GPU", "no key, and no limit", "prompts stay here"))  # fmt: skip
    desc = (
        "Your code sends the same request to either of two containers. Each container holds three things: an API, an "
        f"engine, and a model. One is hosted: {', '.join(homes[0][1:])}. The other is self-hosted: "
        f"{', '.join(homes[1][1:])}."
    )
    shapes = [box(24, 140, 132, 84, "your code", "the same", "for both")]
    for row, (name, gpu, key, prompts) in enumerate(homes):
        y = 40 + 162 * row
        shapes += [arrow((162, 182), (190, 182), (190, y + 62), (224, y + 62))]
        shapes += [rect(230, y, 356, 124, GREEN, None, 12), text(246, y + 24, f"container, {name}", "h l")]
        for place, (part, what, edge) in enumerate(
            (("API", "OpenAI's form", BLUE), ("engine", "vLLM", ORANGE), ("model", "its weights", GREY))
        ):
            shapes += [box(242 + 114 * place, y + 38, 104, 72, part, what, edge=edge)]
        shapes += [text(600, y + 40 + 24 * line, words, "l") for line, words in enumerate((gpu, key, prompts))]
    return picture("One container, at two places", desc, 352, shapes)


def runtimes(_):
    size = f"{BUNDLED.weight_bytes('q4') / 1e6:.0f} MB"
    names = ("Transformers", "ONNX Runtime", "llama.cpp", "OpenVINO", "Ollama")
    desc = (
        f"One file of weights goes into one of {len(names)} runtimes: {', '.join(names)}. A runtime does two kinds of "
        "work. Reading a prompt: each weight is fetched once for all tokens, so arithmetic sets the limit. "
        "Writing an answer: all weights are fetched for every single token, so the bytes set the limit."
    )
    shapes = [text(92, 38, "weights", "h"), box(24, 118, 136, 64, size, "computes nothing", edge=GREEN)]
    shapes += [text(286, 38, "a runtime computes", "h")]
    for row, name in enumerate(names):
        y = 54 + 40 * row
        shapes += [arrow((164, 150), (204, y + 16)), box(208, y, 156, 32, name, head="")]
    for top, head, edge, words, many in (
        (54, "reading the prompt", BLUE, ("each weight comes once, for all tokens", "limit: arithmetic"), True),
        (158, "writing the answer", ORANGE, ("all weights come, for every token", "limit: bytes from memory"), False),
    ):
        shapes += [arrow((368, 150), (404, top + 44), edge=edge), rect(408, top, 328, 92, edge)]
        shapes += [
            text(422, top + 24, head, "h l"),
            text(422, top + 48, words[0], "l"),
            text(422, top + 76, words[1], "h l"),
        ]
        shapes += [rect(642 + 17 * at, top + 62, 13, 18, edge, WHITE, 3) for at in range(5 if many else 1)]
    return picture("One file of weights, many runtimes, two limits", desc, 270, shapes)


def portal(seen):
    boxes = (("API key", "•" * 16, GREEN), ("Project endpoint", "https://…/api/projects/…", LINE))
    boxes += (("Azure OpenAI endpoint", "https://…/openai/v1", GREEN),)
    desc = (
        "The portal's page Home has three boxes. The first, API key, and the third, Azure OpenAI endpoint, are copied "
        "into your code. The second, Project endpoint, is not: it has no chat completions."
    )
    shapes = [text(196, 36, "ai.azure.com, Home", "h"), text(600, 36, "your code", "h")]
    for row, (name, value, edge) in enumerate(boxes):
        y = 52 + 84 * row
        shapes += [rect(24, y, 344, 68, edge), text(36, y + 26, name, "h l"), text(36, y + 51, value, "m l")]
    for y, what in ((52, "FOUNDRY_API_KEY"), (220, "FOUNDRY_ENDPOINT")):
        shapes += [arrow((376, y + 34), (470, y + 34)), box(478, y, 258, 68, what, "a variable", edge=BLUE, head="m")]
    shapes += [text(386, 175, "not this one: no chat completions", "o l")]
    return picture("Which boxes to copy", desc, 312, shapes)

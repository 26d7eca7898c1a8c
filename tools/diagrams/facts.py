"""What the course's own models do with a few short texts, for the diagrams: `python -m tools.diagrams --measure`."""

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM

import slmlab
from course import drawn, inside

BARS = (("Mon", 34, "red"), ("Tue", 71, "blue"), ("Wed", 52, "green"))  # those of lesson 04


def measure() -> dict:
    with slmlab.load() as model:
        parts = (loop, attention, template, kv_cache, sampling, onnx, grid)
        found = {part.__name__: part(model) for part in parts}
    return found | {"vision": vision(), "experts": experts()}


def _likeliest(model, text, top, **settings):
    sampling = slmlab.Sampling(**settings) if settings else None
    return [(one.text, round(one.probability, 4)) for one in model.next_token_probabilities(text, top, sampling)]


def loop(model):
    text = "The capital of France is"
    return {"tokens": [(one.text, one.id) for one in model.tokens(text)], "next": _likeliest(model, text, 4)}


def attention(model, words="The robot stopped because it broke", asking=4, layer=13, head=8):
    """The weights of one head; of all that were looked at, the one that most clearly looks from `it` to its noun."""
    folder = slmlab.folder(model.card, "transformers")
    raw = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    ids = model.ids(words)
    assert len(ids) == len(words.split()), "a word of the sentence is more than one token"
    row = raw(torch.tensor([ids]), output_attentions=True).attentions[layer][0, head, asking].tolist()
    weights = [round(one, 4) for one in row]
    return {"words": words.split(), "asking": asking, "layer": layer, "head": head, "weights": weights}


def template(model):
    messages = [slmlab.Message("system", "Be brief."), slmlab.Message("user", "Where is Paris?")]
    tokens = [(one.text, one.id) for one in model.tokens(model.prompt(messages))]
    return {"messages": [(one.role, one.content) for one in messages], "tokens": tokens}


def kv_cache(model):
    chat, turns = model.chat(max_tokens=40), []
    for question in ("What is the capital of France?", "And what is the capital of Italy?"):
        reply = chat.ask(question)
        words = [one.text for one in reply.tokens]
        turns.append({"written": words, "prompt": reply.start.prompt_tokens, "reused": reply.start.reused_tokens})
    return {"turns": turns}


def sampling(model, text="In winter it is very", top=8):
    ways = {"temperature": 0.5, "top_k": 5, "top_p": 0.6}
    words = [word for word, _ in _likeliest(model, text, top)]
    columns = [dict(_likeliest(model, text, 1000, **({"temperature": 1.0} | way))) for way in _each(ways)]
    return {"text": text, "words": words, **ways, "columns": [[one.get(word, 0) for word in words] for one in columns]}


def _each(ways):
    return [{}, *({name: value} for name, value in ways.items())]


def onnx(model):
    return {one.name: one.stat().st_size for one in sorted(model.folder.iterdir())}


def grid(model, name="blk.0.ffn_gate.weight", values=15):
    """The first block of a matrix that uses this many of its 16 values."""
    file = next(slmlab.folder(model.card, "gguf").glob("*.gguf"))
    found = {one.name: one for one in gguf.GGUFReader(file).tensors}
    blocks = inside.read_blocks(found[name])
    numbers = blocks.numbers.reshape(-1, 32)
    one = next(place for place, row in enumerate(numbers) if len(np.unique(row)) == values)
    scale, minimum = (float(part.reshape(-1)[one]) for part in (blocks.scales, blocks.minimums))
    return {"matrix": name, "block": one, "scale": scale, "minimum": minimum, "numbers": numbers[one].tolist()}


def vision(question="How much is Tue?"):
    chart = drawn.bars([drawn.Row(*bar) for bar in BARS])
    with slmlab.load("tiny-vlm") as model:
        return {"bars": BARS, "question": question, "answer": model.ask(question, images=chart.pictures).text}


def experts(text="for n in range(10): print(n)", layer=1):
    with slmlab.load("tiny-moe") as model:
        one = next(one for one in inside.routing(model, text) if one.layer == layer)
    return {"token": one.text, "layer": layer, "experts": one.experts, "weights": [round(n, 4) for n in one.weights]}

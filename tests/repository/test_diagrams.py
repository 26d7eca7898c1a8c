"""The lessons' diagrams are what the program draws, say what the cards say, and can be read."""

import argparse
import json
import re

from endpoint import start
from slmlab import card
from tools.diagrams import agent
from tools.diagrams.__main__ import IMAGES, drawings
from tools.normal_form import ROOT

STORED = {path.name: path.read_text(encoding="utf-8") for path in IMAGES.glob("*.svg")}
WORDS = {name: " ".join(re.findall(r"<text[^>]*>([^<]+)", svg)) for name, svg in STORED.items()}


def test_the_stored_diagrams_are_those_that_the_program_draws():
    assert STORED == drawings(), "run: python -m tools.diagrams"


def test_each_diagram_is_described_and_small_and_its_words_are_large_enough():
    for name, svg in STORED.items():
        assert re.search(r'^<svg .*role="img".*<title id="t">.{15,}</title><desc id="d">.{40,}</desc>', svg), name
        assert min(map(int, re.findall(r"font-size:(\d+)px", svg))) >= 14 and "font-size=" not in svg, name
        assert len(svg.encode()) < 40_000 and int(re.search(r' height="(\d+)"', svg)[1]) <= 420, name


def test_the_numbers_in_the_diagrams_are_those_of_the_cards():
    shape, moe, phi = card("smollm2-135m").architecture, card("tiny-moe"), card("phi-3.5-moe")
    sizes = f"{shape.layers} of|{shape.heads} heads|{shape.kv_heads} KV|{shape.hidden} → {shape.ffn:,}|{shape.vocab:,}"
    assert all(said in WORDS["block.svg"] for said in sizes.split("|"))
    assert f"{moe.active_parameters / 1e6:.2f}M of {moe.parameters / 1e6:.2f}M" in WORDS["experts.svg"]
    assert f"{phi.active_parameters / 1e9:.1f}B of {phi.parameters / 1e9:.1f}B" in WORDS["experts.svg"]


def test_the_drawings_of_making_a_model_say_what_the_lessons_do():
    train, tune = ((IMAGES.parent / name).read_text("utf-8") for name in ("10_train_one.ipynb", "11_tune_one.ipynb"))
    assert "512 entries" in WORDS["making.svg"] and "learn(read, 512)" in train
    assert "919 thousand" in WORDS["making.svg"] and "919 thousand" in train
    assert "down: 8 × 576" in WORDS["lora.svg"] and "rank=8" in tune and "layers[15:]" in tune


def test_the_drawing_of_an_agent_shows_a_call_that_gives_its_result():
    from course.acting import calculator

    assert calculator(json.loads(agent.CALL)["input"]) == agent.RESULT
    lesson = (ROOT / "notebooks" / "15_tools.ipynb").read_text(encoding="utf-8")
    assert f"folder, steps={agent.STEPS}):" in lesson, "the budget of the drawing is the lesson's"


def test_the_drawing_of_a_class_has_the_slots_and_the_queue_of_the_endpoint():
    commands = argparse.ArgumentParser().add_subparsers()
    start.register(commands)
    asked = commands.choices["serve"].parse_args([])
    assert f"{asked.waiting} may wait" in WORDS["scale.svg"] and f"{asked.seats} slots" in WORDS["scale.svg"]

"""training/ of the small vision model: a run that survives its end, a folder that loads, measures that are true."""

import functools
import json
import math
import os
import signal
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
import torch

from course.drawn.canvas import COLOURS, Canvas, Style
from course.drawn.draws import KINDS, draw
from course.drawn.questions import ABSENT, WORDINGS, Question
from course.drawn.scores import vision_scores
from course.evaluate import Share
from training import export_vision, vision, vision_batches, vision_measure, vision_run
from training.glyph_pages import GLYPHS
from training.state import read_state
from training.vision_batches import ACROSS, Batches, hints_of, pixels_of
from training.vision_card import END_MARK, MARK, tables
from training.vision_looks import LOOKS
from training.vision_model import END, new_model, new_processor
from training.vision_recipe import CURRICULUM, Recipe
from training.vision_steps import VisionTraining


@dataclass(frozen=True)
class Small(Recipe):
    """A training of a second."""

    steps: int = 6
    pages: int = 2
    page_batch: int = 4
    batch: int = 2
    retold: int = 2
    warm_up: int = 2
    width: int = 64
    seeing: int = 1
    telling: int = 1


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a small training went from its begin to its end."""
    folder = tmp_path_factory.mktemp("vision") / "run"
    assert vision_run.train(Small(), folder)
    return folder


@pytest.fixture(scope="module")
def exported(trained):
    export_vision.export(read_state(trained / "state.pt"), trained.parent / "tiny")
    return trained.parent / "tiny"


@pytest.fixture(scope="module")
def batches():
    """Those of the real recipe; drawing them takes no model."""
    return Batches(Recipe(), new_processor().tokenizer)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def distance(one: dict, other: dict) -> float:
    return math.sqrt(sum(float((value - other[name]).square().sum()) for name, value in one.items()))


# A run


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(trained, tmp_path, monkeypatch, capsys):
    advance = VisionTraining.advance

    def stopped(training, add_up=None):
        if training.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        if training.step == 5:
            raise MemoryError("the system took it away")
        return advance(training, add_up)

    monkeypatch.setattr(vision_run, "SAVE_EVERY", 2)
    monkeypatch.setattr(VisionTraining, "advance", stopped)
    assert not vision_run.train(Small(), tmp_path)
    assert read_state(tmp_path / "state.pt")["step"] == 3, "the step under way is finished and saved"
    with pytest.raises(MemoryError):
        vision_run.train(Small(), tmp_path)
    monkeypatch.setattr(VisionTraining, "advance", advance)
    assert vision_run.train(Small(), tmp_path) and "Going on at step 4 of 6" in capsys.readouterr().out
    assert same(read_state(tmp_path / "state.pt")["model"], read_state(trained / "state.pt")["model"])


def test_two_processes_train_nearly_what_one_trains(trained, tmp_path):
    assert vision_run.train(Small(), tmp_path, processes=2)
    alone, shared = (read_state(folder / "state.pt")["model"] for folder in (trained, tmp_path))
    begin = new_model(new_processor(), 0, 64, 1, 1).state_dict()
    assert 0 < distance(alone, shared) < 0.25 * distance(alone, begin), "16 bits round otherwise in other batches"
    assert not (tmp_path / "meeting").exists()


# The command line


def test_minutes_stop_it_and_the_same_command_goes_on_to_an_export(tmp_path, trained, monkeypatch, capsys):
    monkeypatch.setattr(vision, "Recipe", Small)
    monkeypatch.setattr(vision, "WORK", tmp_path)
    vision.main(["train", "--processes", "1", "--minutes", "0.00001"])
    assert read_state(tmp_path / "vision-seed0" / "state.pt")["step"] == 1
    vision.main(["train", "--processes", "1"])
    state = read_state(tmp_path / "vision-seed0" / "state.pt")
    assert same(state["model"], read_state(trained / "state.pt")["model"])
    vision.main(["export", "--folder", str(tmp_path / "tiny")])
    assert (tmp_path / "tiny" / "model.safetensors").is_file() and "for data/models.toml" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        vision.main(["train", "--steps", "2"])
    assert "the first 2 are for the encoder alone, so give more" in capsys.readouterr().err


# What a step is made of


def test_a_glyph_and_a_colour_are_hints_of_their_patches_and_of_no_others():
    for x, half in ((16 * 3 + 4, 0), (16 * 3 + 12, 1)):
        canvas = Canvas(Style(size=14))
        canvas.write("z", x, 16 * 5 + 8)
        canvas.write("=", 90, 90)  # no glyph that the encoder learns
        hints = hints_of(canvas)
        assert hints.sum() == 1 and hints[5 * ACROSS + 3, GLYPHS.index("z") + half * len(GLYPHS)] == 1
    for number, colour in enumerate(COLOURS):
        canvas = Canvas(Style(hues=(7, -9, 3)))
        canvas.draw.rectangle((16, 32, 47, 47), fill=canvas.style.rgb(colour))
        hints = np.argwhere(hints_of(canvas)).tolist()
        assert hints == [[2 * ACROSS + column, 2 * len(GLYPHS) + number] for column in (1, 2)]


def test_a_steps_batches_are_the_same_every_time_and_their_parts_are_the_whole(batches):
    pad = batches.tokenizer.pad_token_id

    def rows(*parts):
        return sorted(
            ([one for one in row.tolist() if one != pad], weights.sum().item())
            for part in parts
            for batch in batches.of(Recipe.steps - 1, *part)
            for row, weights in zip(batch.ids, batch.weights, strict=True)
        )

    whole = rows((0, 1))
    assert len(whole) == Recipe.batch + Recipe.retold and whole == rows((0, 1)) == rows((0, 2), (1, 2))


def test_a_training_begins_with_what_is_easy_ends_with_everything_and_never_sees_what_is_held_out(batches, monkeypatch):
    drawn = []
    spied = vision_batches.draw
    monkeypatch.setattr(vision_batches, "draw", lambda *given: drawn.append(given) or spied(*given))
    for step, often in ((Recipe.pages, 40), (Recipe.steps - 1, 300)):
        for number in range(often):
            batches._scene(step, number)
    early, late = drawn[:40], drawn[40:]
    assert all(easy for _, _, easy in early) and {kind for kind, _, _ in early} < set(CURRICULUM)
    assert not any(easy for _, _, easy in late) and {kind for kind, _, _ in late} == set(CURRICULUM) == set(KINDS)
    assert not any(str(seed).startswith(vision_measure.HELD_OUT) for _, seed, _ in drawn)
    assert len({seed for _, seed, _ in drawn}) == len(drawn), "no scene comes twice"


# The text


def conversation(scene, chance: Random) -> list[dict]:
    """What a reader would send who asked as the training asks, and got the right answers."""
    content, messages = [{"type": "image"} for _ in scene.pictures], []
    for question in vision_batches.in_turn(scene.questions, chance)[: vision_batches.FOLLOW_UPS + 1]:
        reply = question.reply if messages or not scene.reading else f"{scene.reading} => {question.reply}"
        messages.append({"role": "user", "content": [*content, text(vision_batches.asked(question, chance))]})
        messages.append({"role": "assistant", "content": [text(reply)]})
        content = []
    return messages


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def test_a_conversation_has_the_ids_that_the_training_used(exported, batches):
    from transformers import AutoProcessor

    plain = AutoProcessor.from_pretrained(exported)
    for kind in KINDS:
        scene, rng = draw(kind, "train:0"), Random(0)
        messages = conversation(scene, deepcopy(rng))
        row = batches._row(scene, rng)
        whole, begin = (
            plain(text=[prompt], images=scene.pictures)["input_ids"][0]
            for prompt in (
                plain.apply_chat_template(messages),
                plain.apply_chat_template(messages[:1], add_generation_prompt=True),
            )
        )
        assert row.ids == whole and row.ids[: len(begin)] == begin
        assert row.weights[len(begin)] > 0, "it answers where it was taught to"
        learned = [one for one, weight in zip(row.ids, row.weights, strict=True) if weight]
        replies = [message["content"][0]["text"] + END for message in messages[1::2]]
        assert plain.tokenizer.decode(learned) == "".join(replies), "what the model says is learned, and nothing else"


# A folder to ship


LOADS = """
import json, sys
from transformers import AutoModelForImageTextToText, AutoProcessor
from PIL import Image
folder, *pictures = sys.argv[1:]
processor, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": "In which picture is A larger?"}]
prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
inputs = processor(text=prompt, images=[Image.open(one) for one in pictures], return_tensors="pt")
logits = model.float()(**inputs).logits[0, -1].tolist()
ours = [name for name in sys.modules if name.split(".")[0] in ("slmlab", "training", "tests")]
print(json.dumps({"ids": inputs["input_ids"][0].tolist(), "logits": logits, "ours": ours,
                  "kind": type(model).__name__, "end": model.generation_config.eos_token_id}))
"""


def test_it_loads_with_transformers_alone_and_is_the_model_that_was_trained(exported, trained, tmp_path):
    scene, processor = draw("pair", "held-out:1"), new_processor()
    paths = [str(tmp_path / f"{number}.png") for number in range(2)]
    for picture, path in zip(scene.pictures, paths, strict=True):
        picture.save(path)
    command = [sys.executable, "-c", LOADS, str(exported), *paths]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ours"] == [] and found["kind"] == "LlavaForConditionalGeneration"
    assert found["end"] == processor.tokenizer.convert_tokens_to_ids([END, "<|endoftext|>"])
    model = new_model(processor, 0, 64, 1, 1).eval()
    weights = {name: value.half().float() for name, value in read_state(trained / "state.pt")["model"].items()}
    model.load_state_dict(weights)
    pixels = torch.from_numpy(np.stack([pixels_of(picture) for picture in scene.pictures]))
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([found["ids"]]), pixel_values=pixels).logits[0, -1]
    assert found["logits"] == pytest.approx(logits.tolist(), abs=1e-4), "the trained weights, and the same pictures"
    assert json.loads((exported / "config.json").read_text())["dtype"] == "float16"
    assert not list(exported.parent.glob("*.new")), "nothing half-made is left"
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in exported.iterdir()), "others may read it"


# Measures


def test_every_form_is_measured_beside_its_opponents(exported, monkeypatch):
    pytest.importorskip("rapidocr")
    monkeypatch.setattr(vision, "measure", functools.partial(vision_measure.measure, kinds=("text", "pair")))
    card = exported / "README.md"
    card.write_text(f"before\n{MARK}\nold\n{END_MARK}\nafter\n")
    vision.main(["evaluate", "--folder", str(exported), "--pictures", "2", "--ocr-pictures", "1"])
    scores = vision_scores(exported / "scores.json")
    assert card.read_text() == f"before\n{MARK}\n{tables(scores)}\n{END_MARK}\nafter\n"
    assert {one.form for one in scores.forms} == {"text/read", "pair/value", "pair/larger"}
    for one in scores.forms:
        assert one.model.asked == one.commonest.asked == 2 and one.commonest.right >= 1
        assert one.ocr.asked == one.blank.asked == 1, "also with empty pictures"
    assert scores.letters_wrong["the model"] > 0.5 > scores.letters_wrong["OCR"], "nearly untrained, it can't read"
    assert {kind: share.asked for kind, share in scores.readings.items()} == {"pair": 2}, "one a picture"
    assert [one.look for one in scores.looks] == list(LOOKS)


def test_of_each_form_as_many_questions_are_asked_as_wanted():
    for kind in KINDS:
        questions = [question for _, question in vision_measure._rows(kind, 4)]
        forms = [vision_measure._form(question) for question in questions]
        assert all(forms.count(form) == 4 for form in WORDINGS if form.startswith(f"{kind}/"))
        assert [one.answer == ABSENT for one in questions] == [form.endswith("/absent") for form in forms]


def test_an_answer_is_exact_or_near_or_neither():
    question = Question("heights/value", ("A",), "40")
    for reply, right, near in (("A 40 => 40", True, True), ("=> 45", False, True), ("46", False, False)):
        assert (vision_measure._right(question, reply), vision_measure._near(question, reply)) == (right, near)
    counts = [Question("bars/count", (), answer) for answer in "334343"]
    assert vision_measure._commonest(counts) == Share(4, 6), "what one says without looking"
    for truth, said, share in (("HELLO", "HELL", 1 / 5), ("kitten", "sitting", 3 / 6), ("", "", 0)):
        assert vision_measure.letters_wrong([truth], [said]) == pytest.approx(share)

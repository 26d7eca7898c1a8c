"""engines/transformers: pictures in a prompt, against plain Transformers."""

import shutil

import numpy as np
import pytest

import slmlab
from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine, VisionEngine
from slmlab.errors import BadRequest, NotHere
from slmlab.pictures import as_pictures
from slmlab.records import Message
from tests.conftest import ids_of
from tests.tiny_sight import BLUE, IMAGE, PATCHES, QUESTION, RED, forced, inputs_of, noise, plain, seen_as


def test_greedy_is_what_transformers_generates_itself(tiny_sight, tiny_sight_reference):
    lengths = []
    for count in range(3):
        images = [noise(seed) for seed in range(count)]
        inputs = inputs_of(tiny_sight_reference, QUESTION, *images)
        made = tiny_sight_reference[1].generate(**inputs, max_new_tokens=20, do_sample=False)
        lengths.append(inputs["input_ids"].shape[1])
        reply = tiny_sight.ask(QUESTION, images=images, max_tokens=20)
        assert ids_of(reply) == made[0, lengths[-1] :].tolist() and reply.start.prompt_tokens == lengths[-1]
    assert np.diff(lengths).tolist() == [PATCHES, PATCHES], "a picture is as many tokens as it has patches"


def test_what_is_shown_and_in_which_order_changes_what_comes_next(tiny_sight):
    shown = [(plain(RED),), (plain(BLUE),), (noise(0),), (noise(0), noise(1)), (noise(1), noise(0))]
    assert len({seen_as(tiny_sight, *images)[0] for images in shown}) == len(shown)


def test_the_prompt_shows_the_tokens_that_a_picture_is(tiny_sight):
    assert tiny_sight.prompt(QUESTION) == f"<|user|>{QUESTION}<|end|><|assistant|>"
    prompt = tiny_sight.prompt(QUESTION, system="Be brief.", images=[noise(0), noise(1)])
    marks = IMAGE * 2 * PATCHES
    assert prompt == f"<|system|>Be brief.<|end|><|user|>{marks}{QUESTION}<|end|><|assistant|>"


# A conversation


def test_a_second_turn_reuses_the_cache_if_the_picture_is_the_same(tiny_sight):
    chat = tiny_sight.chat(max_tokens=2)
    first = chat.ask("one", images=[noise()], scorer=forced(tiny_sight.ids("ok")))
    assert first.text == "ok"
    second = chat.ask("two", max_tokens=8)
    continued = ids_of(second)
    assert second.start.reused_tokens == first.start.prompt_tokens + 1, "the last id of an answer is never read"
    tiny_sight.forget()
    afresh = tiny_sight.ask(chat.messages[:3], max_tokens=8)
    assert ids_of(afresh) == continued and afresh.start.reused_tokens == 0
    turns = [Message("user", "one", as_pictures(noise(1))), *chat.messages[1:4], Message("user", "three")]
    other = tiny_sight.ask(turns, max_tokens=1)
    assert other.tokens and other.start.reused_tokens == 0, "another picture, though its ids are equal"


def test_a_picture_is_shown_once_and_stays_with_its_question(tiny_sight):
    chat = tiny_sight.chat(max_tokens=2, scorer=forced(tiny_sight.ids("ok" * 3)))
    assert chat.ask("one", images=[noise()]).text == chat.ask("two").text == "ok"
    assert chat.ask("three", images=[noise(1)]).text == "ok", "one may come with a later question"
    assert [len(message.images) for message in chat.messages[::2]] == [1, 0, 1]


# What is refused


def test_too_many_pictures_are_refused_with_both_numbers(tiny_sight):
    fixed = 256 - 15 * PATCHES - 3  # the room for a question beside 15 pictures
    with pytest.raises(BadRequest, match="15 pictures among them, and .* holds 256"):
        tiny_sight.ask("a" * fixed, images=[plain(RED)] * 15)
    assert len(tiny_sight.ask("a" * (fixed - 1), images=[plain(RED)] * 15).tokens) == 1, "one id fits"


def test_what_can_not_be_shown_is_refused_before_anything_runs(tiny_sight):
    for question, image, words in (
        (QUESTION, "no/such/file.png", "can't be read"),
        (f"What is {IMAGE}?", noise(), "takes for a mark of its own"), ("\ud800", noise(), "half a character"),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=words):
            tiny_sight.ask(question, images=[image])
    with pytest.raises(BadRequest, match="beams=1"):
        tiny_sight.ask(QUESTION, images=[noise()], beams=2)


def test_a_model_of_text_names_one_that_sees(tiny):
    for use in (tiny.ask, tiny.chat().ask, tiny.prompt):
        with pytest.raises(BadRequest, match=r"can't see a picture.*slmlab\.load\('tiny-vlm'\)"):
            use(QUESTION, images=[noise()])


# The folder


def test_load_sees_from_the_folder_whether_it_holds_a_model_that_sees(tiny_sight, tiny_folder):
    with slmlab.load(str(tiny_sight.folder), threads=1) as model:
        assert type(model) is VisionEngine and model.card.kind == "vision" and model.context == 256
        assert seen_as(model, noise()) == seen_as(tiny_sight, noise())
    with slmlab.load(str(tiny_folder), threads=1) as model:
        assert type(model) is TransformersEngine
    with slmlab.load(str(tiny_sight.folder), precision="bf16", threads=1) as model:
        assert seen_as(model, plain(RED)) != seen_as(model, plain(BLUE))


def test_a_damaged_processor_is_refused(tiny_sight_folder, tmp_path):
    path = shutil.copytree(tiny_sight_folder, tmp_path / "torn") / "processor_config.json"
    for damage in (lambda: path.write_text("{"), path.unlink):
        damage()
        with pytest.raises(NotHere, match="processor.*can't be read"):
            VisionEngine(card_of_folder(tiny_sight_folder), path.parent)

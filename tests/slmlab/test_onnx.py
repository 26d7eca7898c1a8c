"""engines/onnx: what is ONNX Runtime GenAI's own, with text and with pictures.

The pictures are read by Phi-3.5-vision's form with random weights, as the runtime cuts them up.
"""

import shutil

import numpy as np
import pytest

import slmlab
from course.picture_tokens import image_tokens
from slmlab.catalog import card_of_folder
from slmlab.engines.onnx import OnnxEngine
from slmlab.errors import BadRequest, NotHere
from slmlab.pictures import as_pictures
from slmlab.records import Message
from slmlab.sampling import penalise_repeats
from tests.conftest import ids_of
from tests.tiny_sight import BLUE, QUESTION, RED, plain, seen_as

THIN = plain(RED, 900, 100)  # a long and thin picture is few crops, and so quick


def open_engine(folder, **options):
    return OnnxEngine(card_of_folder(folder), folder, "fp32", **options)


def with_picture(text: str, *images) -> Message:
    return Message("user", text, as_pictures(images))


def prompt_tokens(model, *images) -> int:
    reply = model.ask(QUESTION, images=images or None, max_tokens=1)
    return len(reply.tokens) and reply.start.prompt_tokens


def test_long_prompts_give_all_their_logits_block_by_block(tiny_onnx, monkeypatch):
    whole = [value for _, value in tiny_onnx.logprobs("abcdefghij" * 5)]
    monkeypatch.setattr("slmlab.engines.onnx.BLOCK", 7)
    parts = [value for _, value in tiny_onnx.logprobs("abcdefghij" * 5)]
    assert parts[0] is None and parts[1:] == pytest.approx(whole[1:], abs=1e-4)


def test_a_folder_that_is_not_whole_is_refused_and_named(tiny_folder, tiny_onnx_folder, tiny_phi3v_folder, tmp_path):
    with pytest.raises(NotHere, match="genai_config.json"):
        open_engine(tiny_folder)
    torn = (
        (tiny_onnx_folder, "model.onnx"),
        (tiny_phi3v_folder, "vision.onnx"),
        (tiny_phi3v_folder, "processor_config.json"),
    )
    for number, (folder, name) in enumerate(torn):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder, copy)
        (copy / name).write_bytes((copy / name).read_bytes()[:20])
        with pytest.raises(NotHere, match=f"can't load .*copy{number}. Fetch it again"):
            open_engine(copy)


def test_a_picture_costs_what_its_crops_cost(tiny_phi3v):
    line_end = 1  # each picture's mark has one after it
    for width, height in ((40, 20), (336, 336), (640, 480), (100, 900), (1, 1)):
        cost = prompt_tokens(tiny_phi3v, plain(RED, width, height)) - prompt_tokens(tiny_phi3v) - line_end
        wanted = image_tokens("phi-3.5-vision", width, height, 16).tokens
        assert cost == wanted, "whatever num_crops the folder names"


def test_colours_and_order_of_pictures_change_what_comes_next(tiny_phi3v):
    one, two = THIN, plain(BLUE, 900, 100)
    assert seen_as(tiny_phi3v, one)[0] != seen_as(tiny_phi3v, two)[0]
    assert prompt_tokens(tiny_phi3v, one, two) == 2 * prompt_tokens(tiny_phi3v, one) - prompt_tokens(tiny_phi3v)
    assert seen_as(tiny_phi3v, one, two) != seen_as(tiny_phi3v, two, one)


def test_a_picture_is_no_word_that_repeats(tiny_phi3v):
    """A picture's ids are below zero, which NumPy would count from the end of the vocabulary."""
    logits = np.array([1.0, 2.0, 3.0])
    assert penalise_repeats(logits, [-1, -2, 0], 2.0).tolist() == [0.5, 2.0, 3.0]
    assert len(ids_of(tiny_phi3v.ask(QUESTION, images=[THIN], max_tokens=3, repetition_penalty=1.5))) >= 1


def test_a_chat_goes_on_after_an_answer_that_the_model_chose_itself(tiny_phi3v):
    """Greedy is the runtime's own choice elsewhere: here it could not be taken back, and the second turn failed."""
    images = [plain((shade, 10, 20), 900, 100) for shade in range(0, 256, 8)]
    image = next(one for one in images if tiny_phi3v.ask("one", images=one, max_tokens=1).text)  # a whole character
    chat = tiny_phi3v.chat(max_tokens=1)
    answer, second = chat.ask("one", images=image).text, chat.ask("two")
    turns = [with_picture("one", image), Message("assistant", answer), Message("user", "two")]
    assert ids_of(second) == ids_of(tiny_phi3v.ask(turns, max_tokens=1)) and second.start.reused_tokens > 1000


def test_the_prompt_shows_where_the_pictures_stand(tiny_phi3v):
    turns = [with_picture("one", THIN), Message("assistant", "ok"), Message("user", "two")]
    assert tiny_phi3v.prompt(turns, images=[THIN]) == (
        "<|user|><|image_1|>\none<|end|><|assistant|>ok<|end|><|user|><|image_2|>\ntwo<|end|><|assistant|>"
    )


def test_what_a_model_that_sees_cannot_do_is_refused(tiny_phi3v):
    for words, options in (
        (r"2 pictures among them, and .* holds 4,096", {"images": [plain(RED, 336, 336)] * 2}),
        ("beams=1", {"images": [THIN], "beams": 2}),
        ("beams=1", {"beams": 2}),
    ):
        with pytest.raises(BadRequest, match=words):
            tiny_phi3v.ask(QUESTION, **options).show()


def test_load_sees_from_the_folder_that_it_holds_a_model_that_sees(tiny_phi3v, tiny_phi3v_folder):
    with slmlab.load(str(tiny_phi3v_folder), threads=1) as model:
        assert model.sees and model.card.kind == "vision" and model.context == 4096
        assert seen_as(model, THIN) == seen_as(tiny_phi3v, THIN)

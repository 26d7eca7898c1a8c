"""engines/onnx_vision: pictures as ONNX Runtime GenAI cuts them up, on Phi-3.5-vision's form with random weights."""

import shutil
import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import slmlab
from course.picture_tokens import image_tokens
from slmlab.catalog import card_of_folder
from slmlab.engines.onnx import OnnxVisionEngine
from slmlab.errors import BadRequest, NotHere, SlmLabError
from slmlab.records import Message
from slmlab.sampling import penalise_repeats
from tests.tiny_sight import forced

QUESTION = "How many?"
END = 256
RED, BLUE = (200, 10, 20), (20, 10, 200)


def plain(colour=RED, width=900, height=100) -> Image.Image:
    """A long and thin picture is few crops, and so quick."""
    return Image.new("RGB", (width, height), colour)


def ids_of(reply) -> list[int]:
    return [token.id for token in reply]


def seen_as(model, *images, question=QUESTION) -> list[tuple[int, float]]:
    return [(token.id, token.logprob) for token in model.ask(question, images=images, max_tokens=3, logprobs=True)]


def prompt_tokens(model, *images) -> int:
    reply = model.ask(QUESTION, images=images or None, max_tokens=1)
    return len(reply.tokens) and reply.start.prompt_tokens


@pytest.mark.parametrize(("width", "height"), [(40, 20), (336, 336), (640, 480), (100, 900), (1500, 1499), (1, 1)])
def test_a_picture_costs_what_its_crops_cost(tiny_phi3v, width, height):
    line_end = 1  # each picture's mark has one after it
    cost = prompt_tokens(tiny_phi3v, plain(RED, width, height)) - prompt_tokens(tiny_phi3v) - line_end
    assert cost == image_tokens("phi-3.5-vision", width, height, 16).tokens, "whatever num_crops the folder names"


def test_another_colour_changes_what_comes_next(tiny_phi3v):
    assert seen_as(tiny_phi3v, plain(RED))[0] != seen_as(tiny_phi3v, plain(BLUE))[0]


def test_two_pictures_are_seen_each_in_its_place(tiny_phi3v):
    one, two = plain(RED), plain(BLUE)
    assert prompt_tokens(tiny_phi3v, one, two) == 2 * prompt_tokens(tiny_phi3v, one) - prompt_tokens(tiny_phi3v)
    assert seen_as(tiny_phi3v, one, two) != seen_as(tiny_phi3v, two, one)


def test_the_runtime_is_given_the_colours_in_their_order_and_one_run_of_places(tiny_phi3v):
    ids, sight = tiny_phi3v._look([with_picture("one", plain(RED))])
    places = np.array(ids) < 0
    crops = np.asarray(sight.inputs["inputs"]["pixel_values"].as_numpy())
    assert places.sum() == image_tokens("phi-3.5-vision", 900, 100, 16).tokens
    assert np.ptp(np.flatnonzero(places)) == places.sum() - 1, "in one piece"
    means = crops.mean(axis=(0, 1, 3, 4))
    assert means[0] > means[2] > means[1], "red, green and blue in this order"


def with_picture(text: str, *images) -> Message:
    from slmlab.pictures import as_pictures

    return Message("user", text, as_pictures(images))


def test_a_file_and_an_image_are_the_same_picture(tiny_phi3v, tmp_path):
    path = tmp_path / "red.png"
    plain().save(path)
    assert seen_as(tiny_phi3v, path) == seen_as(tiny_phi3v, plain()) == seen_as(tiny_phi3v, path.read_bytes())


def test_what_is_transparent_is_seen_on_white(tiny_phi3v):
    glass = plain(RED).convert("RGBA")
    glass.putalpha(0)
    assert seen_as(tiny_phi3v, glass) == seen_as(tiny_phi3v, plain("white")) != seen_as(tiny_phi3v, plain(RED))


def test_a_photo_that_lies_on_its_side_is_cut_up_upright(tiny_phi3v):
    turned, buffer = Image.Exif(), BytesIO()
    turned[0x0112] = 6  # to be shown a quarter to the right
    plain(RED, 900, 100).save(buffer, "JPEG", exif=turned)
    upright = prompt_tokens(tiny_phi3v, plain(RED, 100, 900))
    assert prompt_tokens(tiny_phi3v, buffer.getvalue()) == upright != prompt_tokens(tiny_phi3v, plain(RED, 900, 100))


def test_the_first_id_is_the_likeliest_and_sampling_can_choose_another(tiny_phi3v):
    reply = tiny_phi3v.ask(QUESTION, images=[plain()], max_tokens=1, logprobs=True, top_logprobs=5)
    assert reply.tokens[0].id == reply.tokens[0].top[0].id
    greedy = ids_of(tiny_phi3v.ask(QUESTION, images=[plain()], max_tokens=8))
    first, again, other = (
        ids_of(tiny_phi3v.ask(QUESTION, images=[plain()], max_tokens=8, temperature=1.5, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other and greedy[0] == reply.tokens[0].id


def test_greedy_is_the_same_by_the_runtimes_choice_and_by_our_own(tiny_phi3v):
    ours = [id for id, _ in seen_as(tiny_phi3v, plain())]
    assert ids_of(tiny_phi3v.ask(QUESTION, images=[plain()], max_tokens=3)) == ours


def test_a_picture_is_no_word_that_repeats(tiny_phi3v):
    """A picture's ids are below zero, which NumPy would count from the end of the vocabulary."""
    logits = np.array([1.0, 2.0, 3.0])
    assert penalise_repeats(logits, [-1, -2, 0], 2.0).tolist() == [0.5, 2.0, 3.0]
    assert len(ids_of(tiny_phi3v.ask(QUESTION, images=[plain()], max_tokens=3, repetition_penalty=1.5))) >= 1


def test_a_text_alone_is_read_as_by_any_other_model(tiny_phi3v):
    reply = tiny_phi3v.ask(QUESTION, max_tokens=4)
    rows = tiny_phi3v.next_token_probabilities(tiny_phi3v.prompt(QUESTION), top=1)
    assert ids_of(reply)[0] == rows[0].id and reply.start.prompt_tokens == len(QUESTION) + 3
    values = [value for _, value in tiny_phi3v.logprobs("abc")]
    assert values[0] is None and all(value < 0 for value in values[1:])


def test_a_second_turn_reuses_the_cache_and_answers_as_if_read_afresh(tiny_phi3v):
    chat = tiny_phi3v.chat(images=[plain()], max_tokens=2)
    first = chat.ask("one", scorer=forced(tiny_phi3v.format.ids("ok")))
    assert first.text == "ok"
    second = chat.ask("two", max_tokens=6)
    continued = ids_of(second)
    assert second.start.reused_tokens == first.start.prompt_tokens + 1, "the last id of an answer is never read"
    fresh = tiny_phi3v.ask([with_picture("one", plain()), Message("assistant", "ok"), Message("user", "two")])
    found = iter(fresh)
    assert [next(found).id for _ in continued] == continued and fresh.start.reused_tokens == 0


def test_another_picture_reuses_nothing_though_its_ids_are_equal(tiny_phi3v):
    chat = tiny_phi3v.chat(images=[plain(RED)], max_tokens=2)
    assert chat.ask("one", scorer=forced(tiny_phi3v.format.ids("ok"))).text == "ok"
    turns = [Message("assistant", "ok"), Message("user", "two")]
    other, same = (
        tiny_phi3v.ask([with_picture("one", plain(colour)), *turns], max_tokens=1, logprobs=True)
        for colour in (BLUE, RED)
    )
    assert other.tokens and other.start.reused_tokens == 0
    assert same.tokens[0].logprob != other.tokens[0].logprob


@pytest.mark.parametrize("written", [1, 4])
def test_a_text_appended_after_greedy_tokens_is_read_after_all_of_them(tiny_phi3v, written):
    ids, sight = tiny_phi3v._look([with_picture("one", plain())])
    session, afresh = tiny_phi3v._session(2048), tiny_phi3v._session(2048)
    for one in (session, afresh):
        one.sight = sight
        one.append(ids)
    for _ in range(written):
        session.take_likeliest()
    session.append([END])
    session.append(tiny_phi3v.format.ids(" and more"))
    afresh.append(session.ids[len(ids) :])
    assert len(session.ids) == len(ids) + written + 10 and np.allclose(session.logits(), afresh.logits(), atol=1e-4)


def test_a_chat_goes_on_after_an_answer_that_the_model_chose_itself(tiny_phi3v):
    """Greedy is the runtime's own choice elsewhere: here it could not be taken back, and the second turn failed."""
    images = [plain((shade, 10, 20)) for shade in range(0, 256, 8)]
    image = next(one for one in images if tiny_phi3v.ask("one", images=one, max_tokens=1).text)  # a whole character
    chat = tiny_phi3v.chat("one", images=image, max_tokens=1)
    answer, second = chat.text, chat.ask("two")
    turns = [with_picture("one", image), Message("assistant", answer), Message("user", "two")]
    assert ids_of(second) == ids_of(tiny_phi3v.ask(turns, max_tokens=1)) and second.start.reused_tokens > 1000


def test_an_answer_never_grows_over_the_context(tiny_phi3v):
    reply = tiny_phi3v.complete("a" * 4094, max_tokens=100)
    assert 1 <= len(reply.tokens) <= 2


def test_two_threads_that_ask_at_once_do_not_mix(tiny_phi3v):
    alone = {colour: seen_as(tiny_phi3v, plain(colour)) for colour in (RED, BLUE)}
    found, faults = {}, []

    def work(colour):
        try:
            found[colour] = [seen_as(tiny_phi3v, plain(colour)) for _ in range(2)]
        except Exception as fault:  # whatever it is, it is looked at below
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(colour,)) for colour in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and found == {colour: [one] * 2 for colour, one in alone.items()}


def test_the_prompt_shows_where_the_pictures_stand(tiny_phi3v):
    turns = [with_picture("one", plain()), Message("assistant", "ok"), Message("user", "two")]
    assert tiny_phi3v.prompt(turns, images=[plain()]) == (
        "<|user|><|image_1|>\none<|end|><|assistant|>ok<|end|><|user|><|image_2|>\ntwo<|end|><|assistant|>"
    )


def test_too_many_pictures_are_refused_with_both_numbers(tiny_phi3v):
    with pytest.raises(BadRequest, match=r"2 pictures among them, and .* holds 4,096"):
        tiny_phi3v.ask(QUESTION, images=[plain(RED, 336, 336)] * 2)


@pytest.mark.parametrize("images", [None, [plain()]])
def test_beam_search_is_refused_here(tiny_phi3v, images):
    with pytest.raises(BadRequest, match="beams=1"):
        tiny_phi3v.ask(QUESTION, images=images, beams=2)


@pytest.mark.parametrize(
    ("question", "words"),
    [("What is <|image_1|>?", "can't be written"), ("<|image_2|>", "can't be written"), ("\ud800", "half a character")],
)
def test_a_question_that_breaks_the_prompt_is_refused(tiny_phi3v, question, words):
    with pytest.raises(BadRequest, match=words):
        tiny_phi3v.ask(question, images=[plain()])


@pytest.mark.parametrize(("image", "words"), [("no/such/file.png", "can't be read"), (b"x", "no picture"), (7, "int")])
def test_a_bad_picture_is_refused_before_anything_runs(tiny_phi3v, image, words):
    for use in (tiny_phi3v.ask, tiny_phi3v.chat, tiny_phi3v.prompt):
        with pytest.raises(BadRequest, match=words):
            use(QUESTION, images=[image])


def test_a_closed_model_says_how_to_get_it_back(tiny_phi3v_folder):
    with OnnxVisionEngine(card_of_folder(tiny_phi3v_folder), tiny_phi3v_folder, "fp32", threads=1) as model:
        unread = model.ask(QUESTION, images=[plain()])
    for use in (lambda: model.ask(QUESTION, images=[plain()]), lambda: list(unread)):
        with pytest.raises(SlmLabError, match="Load it again"):
            use()


@pytest.mark.parametrize("content", [None, "{", "{}"], ids=["missing", "no JSON", "empty"])
def test_a_folder_without_its_processor_is_refused(tiny_phi3v_folder, tmp_path, content):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_phi3v_folder, folder)
    path = folder / "processor_config.json"
    path.write_text(content) if content else path.unlink()
    with pytest.raises(NotHere, match="picture processor in .* can't be read"):
        OnnxVisionEngine(card_of_folder(folder), folder, "fp32")


def test_a_truncated_encoder_is_refused_and_named(tiny_phi3v_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_phi3v_folder, folder)
    graph = folder / "vision.onnx"
    graph.write_bytes(graph.read_bytes()[:100])
    with pytest.raises(NotHere, match="can't load"):
        OnnxVisionEngine(card_of_folder(folder), folder, "fp32")


@pytest.mark.parametrize("seats", [1, 2])
def test_load_sees_from_the_folder_that_it_holds_a_model_that_sees(tiny_phi3v, tiny_phi3v_folder, seats):
    with slmlab.load(str(tiny_phi3v_folder), threads=1, seats=seats) as model:
        assert type(model) is OnnxVisionEngine and model.card.kind == "vision" and model.context == 4096
        assert seen_as(model, plain()) == seen_as(tiny_phi3v, plain())

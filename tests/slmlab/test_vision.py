"""engines/vision: pictures in a prompt, against plain Transformers; where the model looks, what a picture becomes."""

import json
import shutil
import threading
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import slmlab
from course import inside
from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine, VisionEngine
from slmlab.errors import BadRequest, NotHere, SlmLabError
from slmlab.records import Message
from tests.tiny_sight import IMAGE, PATCHES, SIDE, forced

QUESTION = "How many?"
RED, BLUE = (200, 10, 20), (20, 10, 200)


def noise(seed=0, width=50, height=30) -> Image.Image:
    """A picture with no two patches alike."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def plain(colour, width=40, height=20) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def file_of(image: Image.Image, kind="PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ids_of(reply) -> list[int]:
    return [token.id for token in reply]


def seen_as(model, *images, question=QUESTION) -> list[tuple[int, float]]:
    """An answer of five ids with what the model held of each: equal for what it sees as equal."""
    return [(token.id, token.logprob) for token in model.ask(question, images=images, max_tokens=5, logprobs=True)]


@pytest.fixture(scope="module")
def reference(tiny_sight_folder):
    """The same folder as Transformers alone opens it, with its attentions in sight."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny_sight_folder, attn_implementation="eager")
    return AutoProcessor.from_pretrained(tiny_sight_folder, backend="pil"), model.eval()


def inputs_of(reference, *images, question=QUESTION):
    parts = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": question}]
    return reference[0].apply_chat_template(
        [{"role": "user", "content": parts}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2])
def test_greedy_is_what_transformers_generates_itself(tiny_sight, reference, count):
    images = [noise(seed) for seed in range(count)]
    inputs = inputs_of(reference, *images)
    made = reference[1].generate(**inputs, max_new_tokens=20, do_sample=False)
    reply = tiny_sight.ask(QUESTION, images=images, max_tokens=20)
    length = inputs["input_ids"].shape[1]
    assert ids_of(reply) == made[0, length:].tolist() and reply.start.prompt_tokens == length


def test_a_picture_is_as_many_tokens_as_it_has_patches(tiny_sight):
    tokens = []
    for count in range(3):
        reply = tiny_sight.ask(QUESTION, images=[noise()] * count, max_tokens=1)
        assert len(reply.tokens) == 1
        tokens.append(reply.start.prompt_tokens)
    assert np.diff(tokens).tolist() == [PATCHES, PATCHES]


def test_another_picture_changes_what_comes_next(tiny_sight):
    found = [seen_as(tiny_sight, image)[0] for image in (plain(RED), plain(BLUE), noise(0), noise(1))]
    assert len({logprob for _, logprob in found}) == 4


def test_the_order_of_two_pictures_matters(tiny_sight):
    assert seen_as(tiny_sight, noise(0), noise(1)) != seen_as(tiny_sight, noise(1), noise(0))


def test_a_path_bytes_an_image_and_an_array_are_the_same_picture(tiny_sight, tmp_path):
    path = tmp_path / "noise.png"
    noise().save(path)
    sources = (noise(), path, str(path), path.read_bytes(), np.asarray(noise()))
    first, *others = [seen_as(tiny_sight, source) for source in sources]
    assert others == [first] * 4


def test_one_picture_needs_no_list(tiny_sight):
    assert tiny_sight.prompt(QUESTION, images=noise()) == tiny_sight.prompt(QUESTION, images=[noise()])


def test_what_is_transparent_is_seen_on_white(tiny_sight):
    glass = noise().convert("RGBA")
    glass.putalpha(0)
    assert seen_as(tiny_sight, glass) == seen_as(tiny_sight, plain("white")) != seen_as(tiny_sight, noise())


def test_a_photo_that_lies_on_its_side_is_seen_upright(tiny_sight):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown a quarter to the right
    lying, told = (file_of(noise(), "JPEG", **options) for options in ({}, {"exif": turned}))
    upright = Image.open(BytesIO(lying)).transpose(Image.Transpose.ROTATE_270)
    assert seen_as(tiny_sight, told) == seen_as(tiny_sight, upright) != seen_as(tiny_sight, lying)


def test_of_a_moving_picture_four_frames_are_shown(tiny_sight, capsys):
    moving = file_of(plain(RED), "GIF", save_all=True, append_images=[plain((shade, 0, 90)) for shade in range(9)])
    assert tiny_sight.prompt(QUESTION, images=[moving]).count(IMAGE) == 4 * PATCHES
    assert "4 of 10 frames" in capsys.readouterr().out


def test_a_text_alone_is_read_as_by_any_other_model(tiny_sight):
    assert tiny_sight.prompt(QUESTION) == f"<|user|>{QUESTION}<|end|><|assistant|>"
    rows = tiny_sight.next_token_probabilities(tiny_sight.prompt(QUESTION), top=1)
    assert ids_of(tiny_sight.ask(QUESTION, max_tokens=1)) == [rows[0].id]
    assert [piece.text for piece, _ in tiny_sight.logprobs("abc")] == list("abc")
    assert len(tiny_sight.ask(QUESTION, max_tokens=3, beams=2).text) >= 1


def test_a_seed_repeats_an_answer_about_a_picture(tiny_sight):
    first, again, other = (
        ids_of(tiny_sight.ask(QUESTION, images=[noise()], max_tokens=12, temperature=1.5, seed=seed))
        for seed in (3, 3, 4)
    )
    assert first == again != other


# A conversation


def test_a_second_turn_reuses_the_cache_and_answers_as_if_read_afresh(tiny_sight, tiny_sight_folder):
    chat = tiny_sight.chat(images=[noise()], max_tokens=2)
    first = chat.ask("one", scorer=forced(tiny_sight.format.ids("ok")))
    assert first.text == "ok"
    second = chat.ask("two", max_tokens=8)
    continued = ids_of(second)
    assert second.start.reused_tokens == first.start.prompt_tokens + 1, "the last id of an answer is never read"
    with VisionEngine(card_of_folder(tiny_sight_folder), tiny_sight_folder, threads=1) as afresh:
        turns = [Message("user", "one", chat.messages[0].images), Message("assistant", "ok"), Message("user", "two")]
        reply = afresh.ask(turns, max_tokens=8)
        assert ids_of(reply) == continued and reply.start.reused_tokens == 0


def test_another_picture_reuses_nothing_though_its_ids_are_equal(tiny_sight):
    chat = tiny_sight.chat(images=[noise(0)], max_tokens=2)
    assert chat.ask("one", scorer=forced(tiny_sight.format.ids("ok"))).text == "ok"
    turns = [Message("user", "one"), Message("assistant", "ok"), Message("user", "two")]
    other, same = (
        tiny_sight.ask([with_picture(turns[0], noise(seed)), *turns[1:]], max_tokens=1, logprobs=True)
        for seed in (1, 0)
    )
    assert other.tokens and other.start.reused_tokens == 0
    assert same.tokens[0].logprob != other.tokens[0].logprob


def with_picture(message: Message, image) -> Message:
    from slmlab.pictures import as_pictures

    return Message(message.role, message.content, as_pictures(image))


def test_a_chat_with_a_question_asks_at_once_and_goes_on(tiny_sight):
    chat = tiny_sight.chat(QUESTION, images=[noise()], max_tokens=3)
    assert chat.text == tiny_sight.ask(QUESTION, images=[noise()], max_tokens=3).text
    assert [len(message.images) for message in chat.messages] == [1, 0]
    prompt = chat.ask("And now?").start
    assert prompt is None, "the second is not read yet"
    assert len(chat.reply.tokens) == 3
    assert [len(message.images) for message in chat.messages[::2]] == [1, 0], "a picture is shown once"


def test_a_picture_may_come_with_a_later_question(tiny_sight):
    chat = tiny_sight.chat("one", max_tokens=2, scorer=forced(tiny_sight.format.ids("ok") * 2))
    assert chat.text == "ok" and chat.ask("two", images=[noise()]).text == "ok"
    assert [len(message.images) for message in chat.messages] == [0, 0, 1, 0]


def test_pictures_wait_for_a_question_that_is_answered(tiny_sight):
    chat = tiny_sight.chat(images=iter([noise()]), max_tokens=2, scorer=forced(tiny_sight.format.ids("ok")))
    with pytest.raises(BadRequest, match="empty"):
        chat.ask(" ")
    assert chat.ask("one").text == "ok" and len(chat.messages[0].images) == 1


def test_two_threads_that_ask_at_once_do_not_mix(tiny_sight):
    images = [noise(seed) for seed in range(3)]
    alone = [seen_as(tiny_sight, image) for image in images]
    found, faults = {}, []

    def work(place):
        try:
            found[place] = [seen_as(tiny_sight, images[place]) for _ in range(3)]
        except Exception as fault:  # whatever it is, it is looked at below
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and found == {place: [alone[place]] * 3 for place in range(3)}


# What the model is given, and where it looks


def test_the_prompt_shows_the_tokens_that_a_picture_is(tiny_sight):
    prompt = tiny_sight.prompt(QUESTION, system="Be brief.", images=[noise(0), noise(1)])
    marks = IMAGE * 2 * PATCHES
    assert prompt == f"<|system|>Be brief.<|end|><|user|>{marks}{QUESTION}<|end|><|assistant|>"


def test_a_gaze_is_the_attention_that_transformers_computes(tiny_sight, reference):
    images, answer = [noise(0), noise(1)], "ab\u00e9"
    gaze = inside.gaze(tiny_sight, QUESTION, images=images, answer=answer)
    inputs = inputs_of(reference, *images)
    written = torch.tensor([tiny_sight.format.ids(answer)])
    ids = torch.cat([inputs["input_ids"], written], dim=1)
    with torch.inference_mode():
        layers = reference[1](
            input_ids=ids, pixel_values=inputs["pixel_values"], output_attentions=True
        ).attentions  # fmt: skip
    places = (ids[0] == reference[0].image_token_id).nonzero()[:, 0]
    first = inputs["input_ids"].shape[1] - 1
    assert gaze.weights.shape == (4, 2, 4, 2, 4, 4), "tokens, layers, heads, pictures, rows, columns"
    for token in range(4):
        for layer in range(2):
            expected = layers[layer][0, :, first + token, places].reshape(4, 2, 4, 4)
            assert np.allclose(gaze.weights[token, layer], expected, atol=1e-6)


def test_shares_lie_between_0_and_1_and_the_pieces_are_the_answer(tiny_sight):
    gaze = inside.gaze(tiny_sight, QUESTION, images=[noise()], answer="ab\u00e9")
    assert gaze.pieces == ("a", "b", "", "\u00e9"), "a character of two tokens has its text at the second"
    assert all(0 < gaze.share(token) < 1 for token in range(4))
    assert gaze.on(0).shape == (4, 4) and gaze.on(0).sum() == pytest.approx(gaze.share(0), rel=1e-4)
    assert np.allclose(gaze.on(0), (gaze.on(0, layer=0) + gaze.on(0, layer=1)) / 2, atol=1e-6)


def test_without_an_answer_the_gaze_follows_the_models_own(tiny_sight):
    question = "a" * (256 - PATCHES - 3 - 5)  # so long that five ids fit after it
    gaze = inside.gaze(tiny_sight, question, images=[noise()])
    own = [id for id in ids_of(tiny_sight.ask(question, images=[noise()])) if id not in tiny_sight.format.end_ids]
    assert len(gaze.weights) == len(gaze.pieces) == len(own) <= 5, "its ids, not those of its text read anew"
    given = inside.gaze(tiny_sight, question, images=[noise()], answer="z")
    assert np.allclose(gaze.weights[0], given.weights[0], atol=1e-6), "before the first id no answer is known"


def test_looking_leaves_the_fast_attention_as_it_was(tiny_sight):
    def kinds():
        config = tiny_sight._model.config
        return [one._attn_implementation for one in (config, config.text_config, config.vision_config)]

    before, answer = kinds(), seen_as(tiny_sight, noise())
    inside.gaze(tiny_sight, QUESTION, images=[noise()], answer="a")
    assert kinds() == before and "eager" not in before
    assert seen_as(tiny_sight, noise()) == answer


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answer": "a"}, "no picture to look at"),
        ({"images": [plain(RED)], "answer": ""}, "The answer is empty"),
        ({"images": [plain(RED)], "answer": "a" * 230}, "holds 256"),
        ({"images": [plain(RED)], "answer": IMAGE}, "mark that stands for a picture"),
    ],
)
def test_a_gaze_at_nothing_is_refused(tiny_sight, options, words):
    with pytest.raises(BadRequest, match=words):
        inside.gaze(tiny_sight, QUESTION, **options)


def test_what_is_projected_is_what_transformers_gives_the_decoder(tiny_sight, reference):
    seen = inside.look(tiny_sight, noise())
    inputs = inputs_of(reference, noise())
    with torch.inference_mode():
        features = reference[1].get_image_features(pixel_values=inputs["pixel_values"]).pooler_output[0]
        encoder = reference[1].model.vision_tower(inputs["pixel_values"]).last_hidden_state[0, 1:]
    assert seen.tokens == PATCHES and seen.encoded.shape == seen.projected.shape == (4, 4, 64)
    assert np.allclose(seen.projected.reshape(PATCHES, 64), features, atol=1e-4)
    assert np.allclose(seen.encoded.reshape(PATCHES, 64), encoder, atol=1e-4)
    assert not np.allclose(seen.encoded, seen.projected)


@pytest.mark.parametrize("image", [noise(0, SIDE, SIDE), plain((90, 100, 110), SIDE, SIDE)], ids=["noise", "plain"])
def test_the_pixels_are_the_pictures_own(tiny_sight, image):
    pixels = inside.look(tiny_sight, image).pixels
    assert np.allclose(pixels, np.asarray(image) / 255, atol=1e-6), "neither cut nor stretched in its contrast"


def test_one_picture_is_taken_apart_at_a_time(tiny_sight):
    with pytest.raises(BadRequest, match="one picture, not 2"):
        inside.look(tiny_sight, [noise(0), noise(1)])


# What is refused


@pytest.mark.parametrize("pictures", [15, 16])
def test_too_many_pictures_are_refused_with_both_numbers(tiny_sight, pictures):
    fixed = 256 - 15 * PATCHES - 3  # the room for a question beside 15 pictures
    with pytest.raises(BadRequest, match=rf"{pictures} pictures among them, and .* holds 256"):
        tiny_sight.ask("a" * fixed, images=[plain(RED)] * pictures)
    assert len(tiny_sight.ask("a" * (fixed - 1), images=[plain(RED)] * 15).tokens) == 1, "one id fits"


def test_beam_search_reads_no_picture(tiny_sight):
    with pytest.raises(BadRequest, match="beams=1"):
        tiny_sight.ask(QUESTION, images=[noise()], beams=2)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("no/such/file.png", "can't be read"), (b"no picture", "no picture that can be read"), (7, "not int"),
        (file_of(noise(0, 90, 90))[:9000], "damaged"), (np.zeros((2, 2, 7), np.uint8), "no picture"),
        ("https://example.org/cat.png", "save it to a file"),
    ],
    ids=["path", "bytes", "number", "damaged", "array", "address"],
)  # fmt: skip
def test_a_bad_picture_is_refused_before_anything_runs(tiny_sight, image, words):
    for use in (tiny_sight.ask, tiny_sight.chat, tiny_sight.prompt, tiny_sight.gaze):
        with pytest.raises(BadRequest, match=words):
            use(QUESTION, images=[image])
    with pytest.raises(BadRequest, match=words):
        inside.look(tiny_sight, image)


@pytest.mark.parametrize(
    ("question", "words"), [(f"What is {IMAGE}?", "takes for a picture's place"), ("\ud800", "half a character")]
)
def test_a_question_that_breaks_the_prompt_is_refused(tiny_sight, question, words):
    with pytest.raises(BadRequest, match=words):
        tiny_sight.ask(question, images=[noise()])


def test_a_model_of_text_names_one_that_sees(tiny):
    for use in (tiny.ask, tiny.chat):
        with pytest.raises(BadRequest, match=r"can't see a picture.*slmlab\.load\('tiny-vlm'\)"):
            use(QUESTION, images=[noise()])


def test_a_closed_model_refuses_every_use(tiny_sight_folder):
    with VisionEngine(card_of_folder(tiny_sight_folder), tiny_sight_folder, threads=1) as model:
        unread = model.ask(QUESTION, images=[noise()])
    uses = (model.ask, model.prompt, model.gaze)
    for use in (*(lambda use=use: use(QUESTION, images=[noise()]) for use in uses), lambda: inside.look(model, noise())):
        with pytest.raises(SlmLabError, match="Load it again"):
            use()
    with pytest.raises(SlmLabError, match="Load it again"):
        list(unread)


# The folder


def copy_of(folder, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(folder, target)
    return target


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "processor.*can't be read"),
        ("{", "processor.*can't be read"),
        ('{"image_processor": 3}', "can't be read"),
    ],
    ids=["missing", "no JSON", "no processor"],
)
def test_a_folder_without_its_processor_is_refused(tiny_sight_folder, tmp_path, content, words):
    folder = copy_of(tiny_sight_folder, tmp_path)
    path = folder / "processor_config.json"
    path.write_text(content) if content else path.unlink()
    with pytest.raises(NotHere, match=words):
        VisionEngine(card_of_folder(folder), folder)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_configuration_is_refused(tiny_sight_folder, tmp_path, content):
    folder = copy_of(tiny_sight_folder, tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(NotHere, match="Fetch"):
        VisionEngine(card_of_folder(tiny_sight_folder), folder)


def test_a_folder_that_lacks_its_projector_is_refused(tiny_sight_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = copy_of(tiny_sight_folder, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "projector" not in name}
    assert 0 < len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotHere, match="lacks 4 of the model's tensors"):
        VisionEngine(card_of_folder(folder), folder)


def test_load_sees_from_the_folder_that_it_holds_a_model_that_sees(tiny_sight, tiny_sight_folder):
    with slmlab.load(str(tiny_sight_folder), threads=1) as model:
        assert type(model) is VisionEngine and model.card.kind == "vision" and model.context == 256
        assert seen_as(model, noise()) == seen_as(tiny_sight, noise())


def test_load_keeps_a_model_of_text_where_it_was(tiny_folder):
    with slmlab.load(str(tiny_folder), threads=1) as model:
        assert type(model) is TransformersEngine


def test_bf16_sees_as_well(tiny_sight_folder):
    with slmlab.load(str(tiny_sight_folder), precision="bf16", threads=1) as model:
        assert model._model.dtype == torch.bfloat16
        assert seen_as(model, plain(RED)) != seen_as(model, plain(BLUE))
        assert inside.look(model, noise()).encoded.dtype == np.float32


def test_an_untrained_twin_sees_with_weights_of_its_own(tiny_sight):
    with inside.untrained(tiny_sight, 1) as twin, inside.untrained(tiny_sight, 1) as same, inside.untrained(tiny_sight, 2) as other:
        assert type(twin) is VisionEngine and "untrained" in repr(twin)
        shapes = [[(name, one.shape) for name, one in m._model.named_parameters()] for m in (tiny_sight, twin)]
        assert shapes[0] == shapes[1]
        found = [inside.look(model, noise()).projected for model in (tiny_sight, twin, same, other)]
        assert not np.allclose(found[0], found[1]) and np.array_equal(found[1], found[2])
        assert not np.allclose(found[1], found[3])
        assert ids_of(twin.ask(QUESTION, images=[noise()], max_tokens=3))


def test_the_folder_says_how_many_tokens_a_picture_is(tiny_sight_folder):
    settings = json.loads((tiny_sight_folder / "config.json").read_text())
    assert settings["image_seq_length"] == PATCHES and settings["vision_config"]["image_size"] == SIDE

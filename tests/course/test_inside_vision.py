"""inside/vision: against plain Transformers, and records made by hand, whose figures can be computed by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from course import inside
from course.inside.vision import Gaze, Seen
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from tests.tiny_sight import PATCHES, QUESTION, inputs_of, noise

PICTURE = as_picture(Image.new("RGB", (8, 8), "white"))


def gaze(pieces=("The ", "to", "tal", " is", " 9.", "40"), pictures=2) -> Gaze:
    """Each weight is its token's number / 1000, in layer 1 twice that, and on the second picture nothing."""
    weights = np.zeros((len(pieces), 2, 3, pictures, 2, 2))
    weights[:, 0, :, 0] = np.arange(len(pieces)).reshape(-1, 1, 1, 1) / 1000
    weights[:, 1] = 2 * weights[:, 0]
    return Gaze("tiny", (PICTURE,) * pictures, tuple(pieces), weights)


def test_two_kinds_of_patch_get_two_colours():
    encoded = np.zeros((4, 4, 5))
    encoded[:, 2:] = [3, 1, 0, 2, 5]
    colours = Seen("tiny", np.ones((8, 8, 3)), encoded, encoded).as_colours()
    assert np.allclose(colours[:, :2], colours[0, 0]) and np.allclose(colours[:, 2:], colours[0, 3])
    assert abs(colours[0, 0, 0] - colours[0, 3, 0]) == pytest.approx(1), "red is the direction of most difference"


def test_a_gaze_is_the_mean_over_layers_and_heads():
    assert np.allclose(gaze().on(2), np.full((2, 2), 0.003)), "layers of 0.002 and 0.004"
    assert np.allclose(gaze().on(2, picture=1), 0)


def test_a_text_begins_in_the_token_that_holds_its_first_letter():
    for text, place in (("The", 0), ("total", 1), ("tal", 2), ("al is", 2), ("is", 3), ("9.40", 4), ("0", 5)):
        assert gaze().place_of(text) == place
    twice = gaze(("a", "b", "", "a", "b"))
    assert twice.place_of("b") == 1 and twice.place_of("b", last=True) == 4 and twice.text == "abab"
    assert twice.place_of("a", last=True) == 3, "a token without letters holds no beginning"


# In a model


def test_a_gaze_is_the_attention_that_transformers_computes(tiny_sight, tiny_sight_reference):
    images, answer = [noise(0), noise(1)], "abé"
    found = inside.gaze(tiny_sight, QUESTION, images=images, answer=answer)
    inputs = inputs_of(tiny_sight_reference, QUESTION, *images)
    ids = torch.cat([inputs["input_ids"], torch.tensor([tiny_sight.ids(answer)])], dim=1)
    with torch.inference_mode():
        output = tiny_sight_reference[1](input_ids=ids, pixel_values=inputs["pixel_values"], output_attentions=True)
    places = (ids[0] == tiny_sight_reference[0].image_token_id).nonzero()[:, 0]
    first = inputs["input_ids"].shape[1] - 1
    assert found.weights.shape == (4, 2, 4, 2, 4, 4), "tokens, layers, heads, pictures, rows, columns"
    assert found.pieces == ("a", "b", "", "é"), "a character of two tokens has its text at the second"
    for token in range(4):
        for layer in range(2):
            expected = output.attentions[layer][0, :, first + token, places].reshape(4, 2, 4, 4)
            assert np.allclose(found.weights[token, layer], expected, atol=1e-6)
        assert 0 < found.share(token) < 1


def test_without_an_answer_the_gaze_follows_the_models_own(tiny_sight):
    question = "a" * (256 - PATCHES - 3 - 5)  # so long that five ids fit after it
    found = inside.gaze(tiny_sight, question, images=[noise()])
    own = [token.id for token in tiny_sight.ask(question, images=[noise()])]
    own = [id for id in own if id not in tiny_sight.format.end_ids]
    assert len(found.weights) == len(found.pieces) == len(own) <= 5, "its ids, not those of its text read anew"
    told = inside.gaze(tiny_sight, question, images=[noise()], answer="z")
    assert np.allclose(found.weights[0], told.weights[0], atol=1e-6), "before the first id no answer is known"


def test_looking_leaves_the_fast_attention_as_it_was(tiny_sight):
    def attentions():
        config = tiny_sight._model.config
        return [one._attn_implementation for one in (config, config.text_config, config.vision_config)]

    before = attentions()
    inside.gaze(tiny_sight, QUESTION, images=[noise()], answer="a")
    assert attentions() == before and "eager" not in before


def test_what_is_projected_is_what_transformers_gives_the_decoder(tiny_sight, tiny_sight_reference):
    found, model = inside.look(tiny_sight, noise()), tiny_sight_reference[1]
    pixels = inputs_of(tiny_sight_reference, QUESTION, noise())["pixel_values"]
    with torch.inference_mode():
        features = model.get_image_features(pixel_values=pixels).pooler_output[0]
        encoder = model.model.vision_tower(pixels).last_hidden_state[0, 1:]
    assert found.encoded.shape == found.projected.shape == (4, 4, 64)
    assert np.allclose(found.projected.reshape(PATCHES, 64), features, atol=1e-4)
    assert np.allclose(found.encoded.reshape(PATCHES, 64), encoder, atol=1e-4)


def test_what_can_not_be_looked_at_is_refused(tiny_sight, tiny_transformers):
    for ask, words in (
        (lambda: inside.gaze(tiny_sight, QUESTION, answer="a"), "no picture to look at"),
        (lambda: inside.look(tiny_transformers, noise()), "isn't of LLaVA's kind"),
        (lambda: inside.gaze(tiny_transformers, QUESTION, images=[noise()]), "isn't of LLaVA's kind"),
    ):
        with pytest.raises(BadRequest, match=words):
            ask()

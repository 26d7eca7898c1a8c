"""seeing: records made by hand, whose figures can be computed by hand."""

import numpy as np
import pytest
from PIL import Image

from course.inside.vision import Gaze, Seen
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture

PICTURE = as_picture(Image.new("RGB", (8, 8), "white"))


def seen(encoded, projected=None) -> Seen:
    encoded = np.asarray(encoded, dtype=float)
    return Seen("tiny", PICTURE, np.ones((8, 8, 3)), encoded, encoded if projected is None else projected)


def noise(rows=3, columns=4, width=8) -> Seen:
    return seen(np.random.default_rng(0).normal(size=(rows, columns, width)))


def gaze(pieces=("The ", "to", "tal", " is", " 9.", "40"), pictures=2) -> Gaze:
    """Each weight is its token's number / 1000, in layer 1 twice that, and on the second picture nothing."""
    weights = np.zeros((len(pieces), 2, 3, pictures, 2, 2))
    weights[:, 0, :, 0] = np.arange(len(pieces)).reshape(-1, 1, 1, 1) / 1000
    weights[:, 1] = 2 * weights[:, 0]
    return Gaze("tiny", (PICTURE,) * pictures, tuple(pieces), weights)


def test_tokens_are_counted_after_the_projector():
    assert seen(np.zeros((4, 6, 5)), np.zeros((2, 3, 9))).tokens == 6


def test_a_patch_is_like_itself():
    one = noise()
    for row, column in ((0, 0), (2, 3), (1, 2)):
        likeness = one.likeness(row, column)
        assert likeness.shape == (3, 4) and likeness[row, column] == pytest.approx(1)
        assert np.abs(likeness).max() <= 1 + 1e-9


def test_likeness_is_measured_from_what_all_patches_share():
    shared = np.array([100.0, 100.0])  # without it the two are opposite, with it nearly the same
    likeness = seen([[shared + [1, 0], shared - [1, 0]]]).likeness(0, 0)
    assert np.allclose(likeness, [[1, -1]])


def test_likeness_is_the_same_both_ways():
    one = noise()
    assert one.likeness(0, 1)[2, 3] == pytest.approx(one.likeness(2, 3)[0, 1])


def test_patches_that_are_all_alike_are_no_fault():
    flat = seen(np.ones((2, 3, 4)))
    assert np.array_equal(flat.likeness(0, 0), np.zeros((2, 3)))
    assert np.array_equal(flat.as_colours(), np.zeros((2, 3, 3)))


def test_colours_are_between_nothing_and_one_and_all_of_it_is_used():
    colours = noise(6, 6).as_colours()
    assert colours.shape == (6, 6, 3)
    assert (colours.min(), colours.max()) == (0, 1)


def test_two_kinds_of_patch_get_two_colours():
    encoded = np.zeros((4, 4, 5))
    encoded[:, 2:] = [3, 1, 0, 2, 5]
    colours = seen(encoded).as_colours()
    assert np.allclose(colours[:, :2], colours[0, 0]) and np.allclose(colours[:, 2:], colours[0, 3])
    assert abs(colours[0, 0, 0] - colours[0, 3, 0]) == pytest.approx(1), "red is the direction of most difference"


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (3, 0), (0, 4), (0, -1)])
def test_a_patch_that_is_not_there_is_refused(row, column):
    with pytest.raises(BadRequest, match=f"row {row}, column {column}: there are 3 x 4"):
        noise().likeness(row, column)


def test_a_gaze_is_the_mean_over_layers_and_heads():
    assert np.allclose(gaze().on(2), np.full((2, 2), 0.003)), "layers of 0.002 and 0.004"
    assert np.allclose(gaze().on(2, layer=1), np.full((2, 2), 0.004))
    assert np.allclose(gaze().on(2, picture=1), 0)


def test_heads_are_averaged_patch_by_patch():
    one = gaze(pictures=1)
    one.weights[0, 0, 1, 0] = [[0.3, 0], [0, 0.6]]
    assert np.allclose(one.on(0, layer=0), [[0.1, 0], [0, 0.2]])


def test_the_share_of_the_pictures_is_the_sum_over_their_patches():
    assert gaze().share(5) == pytest.approx(4 * 0.0075)
    both = gaze()
    both.weights[5, :, :, 1] = both.weights[5, :, :, 0]
    assert both.share(5) == pytest.approx(8 * 0.0075)


@pytest.mark.parametrize(
    ("text", "place"),
    [("The", 0), ("total", 1), ("tal", 2), ("al is", 2), ("is", 3), ("9.40", 4), ("9", 4), ("40", 5), ("0", 5)],
)
def test_a_text_begins_in_the_token_that_holds_its_first_letter(text, place):
    assert gaze().place_of(text) == place


def test_the_first_of_several_places_is_found():
    found = gaze(("a", "b", "a", "b"))
    assert found.place_of("b") == 1 and found.place_of("b", last=True) == 3 and found.text == "abab"


def test_a_token_without_letters_holds_no_beginning():
    assert gaze(("", "ab", "", "cd")).place_of("a") == 1 and gaze(("", "ab", "", "cd")).place_of("c") == 3


@pytest.mark.parametrize("text", ["", "nine", "total9"])
def test_a_text_that_is_not_in_the_answer_is_refused_with_the_answer(text):
    with pytest.raises(BadRequest, match=r"isn't in the answer 'The total is 9\.40'"):
        gaze().place_of(text)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda one: one.on(6), "no token 6: the answer has 6"),
        (lambda one: one.on(-1), "no token -1"),
        (lambda one: one.on(True), "no token True"),
        (lambda one: one.on("9.40"), "no token '9.40'"),
        (lambda one: one.share(6), "no token 6"),
        (lambda one: one.on(0, picture=2), "no picture 2: there are 2"),
        (lambda one: one.on(0, picture=-1), "no picture -1"),
        (lambda one: one.on(0, layer=2), "no layer 2: there are 2"),
        (lambda one: one.on(0, layer=-1), "no layer -1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(call, words):
    with pytest.raises(BadRequest, match=words):
        call(gaze())

"""inside/experts: records of the way through the experts, and figures that can be counted by hand."""

import numpy as np
import pytest

from course.inside.experts import Routed, Routing, information, kind_of, kinds, shares_by
from slmlab.chat import TokenPiece
from slmlab.errors import BadRequest


def routed(text, first, second=None, layers=(0,), count=4) -> Routing:
    """A routing in which every layer does the same: the first and second expert of each letter."""
    second = second or [(one + 1) % count for one in first]
    experts = np.array([[list(pair) for pair in zip(first, second, strict=True)]] * len(layers))
    pieces = tuple(TokenPiece(ord(letter), letter) for letter in text)
    return Routing("tiny", count, layers, pieces, experts, np.full(experts.shape, 0.5))


def test_it_is_a_record_for_each_layer_and_token():
    found = list(routed("ab", [2, 3], layers=(1, 5)))
    assert len(found) == 4
    assert found[0] == Routed(0, "a", 1, (2, 3), (0.5, 0.5)) and found[3] == Routed(1, "b", 5, (3, 0), (0.5, 0.5))


def test_shares_count_every_choice_and_sum_to_one():
    both = [routed("ab", [0, 0], [1, 2]), routed("cd", [3, 0], [0, 3])]
    assert shares_by(["all", "all"], both, 0)["all"].tolist() == [4 / 8, 1 / 8, 1 / 8, 2 / 8]


def test_the_information_agrees_with_a_computation_by_hand():
    # label x: experts 0 0 1 1; label y: experts 0 0 0 0. H(label) = 1 bit; I = 0.3113 bits
    half = [routed("ab", [0, 1], [0, 1]), routed("cd", [0, 0], [0, 0])]
    assert information(["x", "y"], half, 0) == pytest.approx(0.31127812)


def test_a_label_may_stand_for_a_text_or_for_each_token():
    texts = [routed("a1", [0, 1], [0, 1]), routed("b2", [0, 1], [0, 1])]
    by_text, by_token = shares_by(["x", "y"], texts, 0), shares_by([kinds(one) for one in texts], texts, 0)
    assert by_text["x"].tolist() == [0.5, 0.5, 0, 0]
    assert by_token["letter"].tolist() == [1, 0, 0, 0] and by_token["digit"].tolist() == [0, 1, 0, 0]
    assert information([kinds(one) for one in texts], texts, 0) == pytest.approx(1.0)


def test_every_token_is_of_one_kind():
    wanted = {
        "letter": ("a", " the"), "capital": ("Z",), "digit": ("7",), "space": (" ", "\t", "    "), "line end": ("\n",),
        "bracket": ("(", " ("), "other sign": ("=",), "beyond ASCII": ("é", ""),
    }  # fmt: skip
    assert all({kind_of(text) for text in texts} == {kind} for kind, texts in wanted.items())


def test_it_is_shown_as_a_table_cut_where_it_gets_long():
    text = repr(routed("x" * 100, [0] * 100))
    assert "tiny: the 2 of 4 experts" in text and "… 76 more" in text
    assert "<table" in routed("<", [1])._repr_html_() and "&lt;" in routed("<", [1])._repr_html_()


def test_what_makes_no_sense_is_refused():
    one = routed("ab", [0, 1])
    for ask, words in (
        (lambda: one.first(7), "no experts in layer 7"),
        (lambda: shares_by(["x"], [one], 7), "no experts in layer 7"),
    ):
        with pytest.raises(BadRequest, match=words):
            ask()

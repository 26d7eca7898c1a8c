"""records: what travels the road."""

import pytest

from slmlab.errors import BadRequest
from slmlab.records import Message, Sampling


@pytest.mark.parametrize(
    "setting",
    [
        {"max_tokens": 0}, {"max_tokens": -3}, {"max_tokens": 2.5}, {"temperature": -0.1}, {"temperature": 100},
        {"temperature": float("nan")}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"repetition_penalty": 0},
        {"beams": 0}, {"beams": 99}, {"seed": -1}, {"seed": "x"}, {"stop": ("",)}, {"stop": (3,)}, {"max_tokens": True},
        {"temperature": 10**400}, {"logprobs": "x"}, {"stop": 5},
        {"beams": 2, "temperature": 0.5},
    ],
)  # fmt: skip
def test_absurd_settings_are_refused_by_name(setting):
    with pytest.raises(BadRequest, match=list(setting)[0] if len(setting) == 1 else "Beam search"):
        Sampling(**setting)


def test_numbers_of_numpy_are_numbers():
    import numpy as np

    found = Sampling(max_tokens=np.int64(5), temperature=np.float32(0.5), seed=np.int32(3))
    assert (found.max_tokens, found.temperature, found.seed) == (5, 0.5, 3) and type(found.max_tokens) is int


def test_beam_search_gives_no_logprobs_on_the_way():
    with pytest.raises(BadRequest, match="beams=1"):
        Sampling(beams=2, logprobs=True)


def test_one_stop_text_may_be_given_plainly():
    assert Sampling(stop="\n").stop == ("\n",) and Sampling(stop=["a", "b"]).stop == ("a", "b")


def test_a_message_has_a_known_role_and_text():
    with pytest.raises(BadRequest, match="system, user, assistant"):
        Message("robot", "hi")
    with pytest.raises(BadRequest, match="text"):
        Message("user", 3)

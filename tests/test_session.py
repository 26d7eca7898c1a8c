"""session: ids in, logits out."""

import numpy as np
import pytest

from slmlab.engines.session import Session


class Counting(Session):
    """Holds the id after the last one likeliest."""

    def __init__(self):
        super().__init__(capacity=8)
        self.fed = []

    def _feed(self, ids):
        self.fed.append(list(ids))

    def logits(self):
        return np.eye(8)[self.ids[-1] + 1]


def test_the_likeliest_id_is_taken_in_like_any_other():
    session = Counting()
    session.append([1, 2])
    assert [session.take_likeliest(), session.take_likeliest()] == [3, 4]
    assert session.ids == [1, 2, 3, 4] and session.fed == [[1, 2], [3], [4]]


def test_a_runtime_that_defines_nothing_is_told_so():
    with pytest.raises(TypeError, match="_feed"):
        Session(8).append([1])
    with pytest.raises(TypeError, match="logits"):
        Session(8).logits()

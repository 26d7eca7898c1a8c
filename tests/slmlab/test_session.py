"""session: ids in, logits out."""

import numpy as np
import pytest

from slmlab.engines.local import Session


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
    with pytest.raises(TypeError, match="rewind"):
        Session(8).rewind(1)


class InBlocks(Counting):
    block = 4


def test_a_long_text_is_read_in_blocks_and_whole_ones_are_counted():
    session = InBlocks()
    session.append([1, 2, 3, 4, 5, 6])
    assert session.fed == [[1, 2, 3, 4], [5, 6]] and session.whole == 4 and session.ids == [1, 2, 3, 4, 5, 6]


def test_a_block_that_begins_anywhere_else_is_not_whole():
    """Another text would have it cut elsewhere, and its last digits would differ."""
    session = InBlocks()
    session.append([1, 2])
    session.append([3, 4, 5, 6])
    assert session.whole == 0
    whole = InBlocks()
    whole.append([1, 2, 3, 4])
    whole.append([5, 6, 7, 8])
    assert whole.whole == 8

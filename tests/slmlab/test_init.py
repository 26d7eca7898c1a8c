"""slmlab itself: the public names."""

import pytest

import slmlab


def test_there_are_few_public_names_and_an_unknown_one_lists_them():
    assert len(slmlab.__all__) <= 16 and dir(slmlab) == sorted(slmlab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'laod'. It has: load, connect"):
        slmlab.laod  # noqa: B018

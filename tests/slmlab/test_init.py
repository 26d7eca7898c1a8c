"""slmlab itself: the public names."""

import pytest

import slmlab


def test_the_public_names_are_listed_also_for_an_unknown_one():
    assert dir(slmlab) == sorted(slmlab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'laod'. It has: load, connect"):
        slmlab.laod  # noqa: B018

"""runtimes.mlx: the real package, held against the bundled model in fp32; skipped where it isn't installed."""

import pytest

from tests.same_as_bundled import check_judging, check_writing, opened


@pytest.fixture(scope="module")
def runtime():
    found = opened("mlx")
    yield found
    found.close()


def test_it_writes_on_and_begins_anew(runtime):
    check_writing(runtime)


def test_its_quality_is_what_the_lesson_says(runtime):
    check_judging(runtime, least=0.97, worst=1.01)


def test_it_says_what_it_has_loaded(runtime):
    assert runtime.version == runtime.facts.version() and 0 < runtime.token_bytes <= runtime.size_bytes

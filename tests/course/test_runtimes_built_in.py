"""runtimes.built_in: the course's own engines behind the contract of every runtime."""

import pytest

from tests.same_as_bundled import check_judging, check_writing, opened


@pytest.fixture(scope="module", params=["onnx q4", "onnx fp32", "transformers fp32"])
def runtime(request):
    found = opened(request.param)
    yield found
    found.close()


def test_it_writes_on_and_begins_anew(runtime):
    check_writing(runtime)


def test_its_quality_is_that_of_its_precision(runtime):
    check_judging(runtime, least=0.9, worst=1.05)


def test_it_says_what_it_has_loaded(runtime):
    assert runtime.version == runtime.facts.version() and runtime.size_bytes > 10**8 > 0 < runtime.token_bytes

"""runtimes.results: medians, order, and what is said of those that didn't run."""

import pytest

from course.runtimes.results import Result, Results
from slmlab.errors import UnknownName

RAN = Result(
    "llama.cpp", version="1.0", start_s=0.5, size_bytes=98_000_000, token_bytes=96_000_000, resident_bytes=250_000_000,
    reads=(500.0, 300.0, 400.0), writes=(90.0, 110.0, 99.0), perplexity=18.7, agreement=0.966,
)  # fmt: skip
ABSENT = Result("openvino", absent="python -m pip install openvino-genai")
ENDED = Result("mlx", fault="mlx ended (signal 11): it said nothing.")
FOUND = Results((RAN, ABSENT, ENDED), "3 rounds.", 0.071)


def test_speeds_are_medians_and_unknown_is_none():
    assert (RAN.reads_tokens_per_s, RAN.writes_tokens_per_s) == (400, 99)
    assert ABSENT.reads_tokens_per_s is None and ABSENT.writes_tokens_per_s is None
    assert RAN.ran and not ABSENT.ran and not ENDED.ran


def test_only_those_that_ran_have_a_row():
    assert FOUND.rows() == [
        ("llama.cpp", "99 (90 to 110)", "400 (300 to 500)", "0.5 s", "250 MB", "98.0 MB", "18.70", "96.6%")
    ]
    assert FOUND.left_out() == [f"openvino isn't here: {ABSENT.absent}", ENDED.fault]


def test_text_and_html_say_the_same():
    for shown in (str(FOUND), FOUND._repr_html_()):
        assert "99 (90 to 110)" in shown and ABSENT.absent in shown and "signal 11" in shown
        assert "3 rounds. Other programs used 7% of a core." in shown


def test_a_result_is_found_by_its_name_and_by_its_place():
    assert FOUND["mlx"] is ENDED is FOUND[2] and len(FOUND) == 3 and list(FOUND)[0] is RAN
    with pytest.raises(UnknownName, match="No 'vllm' in this race"):
        FOUND["vllm"]


def test_a_race_that_nobody_ran_is_no_error():
    assert "isn't here" in str(Results((ABSENT,)))

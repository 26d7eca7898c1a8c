"""teaching/domains: the texts that lessons measure on, the same every time."""

import hashlib
import json

import pytest

from course.domains import DOMAINS, arithmetic, domain_texts, json_records, samples
from slmlab.errors import BadRequest


def test_there_is_a_text_of_each_domain_and_it_is_the_same_every_time():
    texts = domain_texts()
    assert tuple(texts) == DOMAINS and texts == domain_texts()
    assert {len(text) for text in texts.values()} == {3300}, "as much of each"
    assert "slmlab" not in texts["Python"], "an edit of the package doesn't change what lessons measure on"


def test_code_sums_and_records_are_as_long_as_wanted():
    texts = domain_texts(40_000)
    assert all(len(texts[name]) == 40_000 for name in ("Python", "arithmetic", "JSON"))


def test_the_two_stories_are_one_story():
    texts = domain_texts(4000)
    paragraphs = {name: texts[name].split("\n\n") for name in ("English", "Spanish")}
    assert len(paragraphs["English"]) == len(paragraphs["Spanish"]) == 10
    for one, other in zip(*paragraphs.values(), strict=True):
        assert ("Marta" in one) == ("Marta" in other) and ("Tomas" in one) == ("Tomás" in other)


def test_lesson_05_trains_on_a_frozen_text_whatever_happens_to_the_code():
    python = domain_texts(40_000)["Python"]
    assert (
        hashlib.sha256(python.encode()).hexdigest()
        == "eb2a1f4ccbc9d04299704331f2a67dba985fc3cb65db4fb26c3cf173607ab46a"
    ), "its figures were measured on this text"
    assert domain_texts(10**7)["Python"] == python


def test_every_sum_is_right():
    for line in arithmetic(20_000, seed=3).split("\n"):
        sum_, result = line.split(" = ")
        assert eval(sum_) == int(result), line


def test_every_record_is_json():
    decoder, text = json.JSONDecoder(), json_records(20_000, seed=3)
    place, found = 0, 0
    while place < len(text):
        record, place = decoder.raw_decode(text, place)
        assert {"id", "name"} <= record.keys()
        place, found = place + 1, found + 1
    assert found > 100


def test_pieces_hold_that_many_bytes_and_no_half_characters():
    pieces = samples("año " * 100, 16)
    assert all(len(piece.encode()) <= 16 for piece in pieces) and "".join(pieces) in "año " * 100
    assert samples("short") == ["short"], "a text shorter than a piece is one"
    assert samples("a" * 512, 256) == ["a" * 256] * 2 and samples("a" * 511, 256) == ["a" * 256]
    with pytest.raises(BadRequest, match="4 or more"):
        samples("😀😀", 2)


@pytest.mark.parametrize("size", [0, -1, True, "4000"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(BadRequest, match="number of characters"):
        domain_texts(size)

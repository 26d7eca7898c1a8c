"""The texts that lessons measure on, the same every time."""

import hashlib
import json

from course.domains import DOMAINS, arithmetic, domain_texts, json_records, samples


def test_the_texts_are_the_ones_that_the_figures_of_lesson_05_were_measured_on():
    short, long = domain_texts(), domain_texts(40_000)
    assert tuple(short) == DOMAINS and {len(text) for text in short.values()} == {3300}, "as much of each"
    assert "slmlab" not in short["Python"], "an edit of the package doesn't change what lessons measure on"
    assert all(len(long[name]) == 40_000 for name in ("Python", "arithmetic", "JSON"))
    digest = hashlib.sha256("\0".join(long.values()).encode()).hexdigest()
    assert digest == "5f0a0639616dd5e6f5fdebacad4562e2fdb9fc51b8f7fa8981069ee8fbc27fa2"


def test_the_two_stories_are_one_story():
    texts = domain_texts(4000)
    paragraphs = {name: texts[name].split("\n\n") for name in ("English", "Spanish")}
    assert len(paragraphs["English"]) == len(paragraphs["Spanish"]) == 10
    for one, other in zip(*paragraphs.values(), strict=True):
        assert ("Marta" in one) == ("Marta" in other) and ("Tomas" in one) == ("Tomás" in other)


def test_every_sum_is_right_and_every_record_is_json():
    for line in arithmetic(20_000, seed=3).split("\n"):
        sum_, result = line.split(" = ")
        assert eval(sum_) == int(result), line
    decoder, text, place, found = json.JSONDecoder(), json_records(20_000, seed=3), 0, 0
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

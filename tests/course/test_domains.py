"""The texts that lessons measure on, the same every time."""

import hashlib

from course.domains import DOMAINS, domain_texts, samples


def test_the_texts_are_the_ones_that_the_figures_of_lesson_05_were_measured_on():
    short, long = domain_texts(), domain_texts(40_000)
    assert tuple(short) == DOMAINS and {len(text) for text in short.values()} == {3300}, "as much of each"
    assert "slmlab" not in short["Python"], "an edit of the package doesn't change what lessons measure on"
    assert all(len(long[name]) == 40_000 for name in ("Python", "arithmetic", "JSON"))
    digest = hashlib.sha256("\0".join(long.values()).encode()).hexdigest()
    assert digest == "5f0a0639616dd5e6f5fdebacad4562e2fdb9fc51b8f7fa8981069ee8fbc27fa2"


def test_pieces_hold_that_many_bytes_and_no_half_characters():
    pieces = samples("año " * 100, 16)
    assert all(len(piece.encode()) <= 16 for piece in pieces) and "".join(pieces) in "año " * 100
    assert samples("short") == ["short"], "a text shorter than a piece is one"
    assert samples("a" * 512, 256) == ["a" * 256] * 2 and samples("a" * 511, 256) == ["a" * 256]

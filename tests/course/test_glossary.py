"""The glossary: each term in one plain sentence, and no lesson that uses a term before it is introduced."""

import re

import nbformat
import pytest

from course import glossary
from course.glossary import terms
from slmlab.errors import UnknownName
from tests.conftest import LESSONS


def test_a_term_is_explained_in_any_spelling_and_an_unknown_one_gets_the_near_ones():
    for asked in ("KV cache", "kv CACHE "):
        assert "so that it need not read the whole text again" in str(glossary(asked))
    assert [row[0] for row in glossary("tokens").rows] == ["token"] and len(glossary().rows) == len(terms()) > 50
    with pytest.raises(UnknownName, match="no 'perplexty'. Available: perplexity"):
        glossary("perplexty")


def test_each_term_has_one_short_sentence_and_is_first_used_in_the_lesson_that_introduces_it():
    prose = {}
    for path in LESSONS:
        cells = nbformat.read(path, as_version=4).cells
        prose[path.name[:2]] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for term, entry in terms().items():
        assert entry["means"].endswith(".") and len(entry["means"].split()) <= 30, term
        words = "|".join(re.escape(word) for word in (term, *entry.get("also", ())))
        used = [lesson for lesson, text in prose.items() if re.search(rf"(?i)(?<![\w-])({words})(?![\w-])", text)]
        assert used and used[0] == entry["lesson"], f"{term}: introduced in {entry['lesson']}, used in {used[:2]}"

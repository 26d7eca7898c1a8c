"""training/vision_card: the tables of a card say what the scores say."""

from dataclasses import replace

import pytest

from course.drawn.draws import KINDS
from course.drawn.questions import WORDINGS
from course.drawn.scores import vision_scores
from slmlab.catalog import DATA
from tests.course.test_drawn_scores import SCORES
from training.vision_card import END_MARK, MARK, tables
from training.vision_recipe import Recipe

SHIPPED = DATA / "models" / "tiny-vlm"


def test_a_form_that_is_relied_on_is_bold_and_every_opponent_stands_beside_it():
    rows = [line for line in tables(SCORES).splitlines() if line.startswith("| bars/value") or "heights/value" in line]
    assert rows == [
        "| bars/value | What is ...? | **95% (91%-97%, n=200)** |  | 4% | 67% (54%-77%, n=60) |",
        "| heights/value | What is ...? | 50% (43%-57%, n=200) | 90% (85%-93%, n=200) | 10% | - |",
    ]


def test_readings_letters_and_looks_are_told():
    text = tables(SCORES)
    for words in (
        "| bars | 38%",
        "the model 1.2%, OCR 20.0%",
        "| half the size | 2% (1%-4%, n=200) | 0% (0%-2%, n=200) |",
    ):
        assert words in text, words
    assert text.count("200 held-out questions") == 1 and "on 60 pictures" in text


def test_the_shipped_card_has_the_tables_of_the_shipped_scores():
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert text.split(MARK)[1].split(END_MARK)[0].strip() == tables(vision_scores())


def test_the_shipped_scores_are_of_every_form_on_enough_pictures():
    scores = vision_scores()
    assert {one.form.removesuffix("/absent") for one in scores.forms} >= set(WORDINGS)
    for one in scores.forms:
        assert one.model.asked >= 200 or one.form.endswith("/absent"), one.form
    assert set(scores.readings) == set(KINDS) - {"text"} and all(0 <= one < 1 for one in scores.letters_wrong.values())


@pytest.mark.parametrize("pictures", [1, 20])
def test_how_many_were_asked_is_said(pictures):
    assert f"to {pictures} held-out questions" in tables(
        replace(SCORES, notes=SCORES.notes | {"pictures": pictures, "ocr_pictures": 1})
    )


def test_the_shipped_card_tells_the_recipe_as_it_is():
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    for figure in (
        f"{Recipe.steps:,}",
        f"{Recipe.pages:,} steps",
        f"{Recipe.batch} scenes",
        f"{Recipe.retold} readings",
    ):
        assert figure in text, figure
    assert f"{Recipe.cool_down:.0%}".replace("%", " %") in text

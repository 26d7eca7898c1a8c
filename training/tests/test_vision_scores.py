"""training: the shipped vision model, its card and its opponent: what the scores say is what is there."""

import pytest

import slmlab
from course.drawn.draws import KINDS, draw
from course.drawn.questions import WORDINGS, answer_of
from course.drawn.scores import vision_scores
from slmlab.catalog import DATA
from training import ocr_rules
from training.vision_card import END_MARK, MARK, tables
from training.vision_measure import HELD_OUT
from training.vision_recipe import Recipe

CARD = DATA / "models" / "tiny-vlm" / "README.md"


def test_the_shipped_model_answers_the_forms_that_reach_the_gate():
    scores = vision_scores()
    forms = [one.form for one in scores.forms if one.relied_on and not one.form.endswith("/absent")]
    with slmlab.load("tiny-vlm") as model:
        right = {form: answered(model, *held_out(form)) for form in forms}
    assert len(right) > 20 and sum(right.values()) / len(right) > 0.8, [form for form, one in right.items() if not one]


def held_out(form: str):
    """A question of a form on a picture that no training saw."""
    scenes = (draw(form.split("/")[0], f"{HELD_OUT}:{number}") for number in range(100))
    return next((scene, one) for scene in scenes for one in scene.questions if one.form == form)


def answered(model, scene, question) -> bool:
    return answer_of(model.ask(question.text, images=scene.pictures).text) == question.answer


def test_the_shipped_scores_are_of_every_form_on_enough_pictures():
    scores = vision_scores()
    assert {one.form.removesuffix("/absent") for one in scores.forms} >= set(WORDINGS)
    assert all(one.model.asked >= 200 or one.form.endswith("/absent") for one in scores.forms)
    assert set(scores.readings) == set(KINDS) - {"text"}


def test_the_shipped_card_has_the_shipped_scores_and_the_recipe_as_it_is():
    text = CARD.read_text(encoding="utf-8")
    assert text.split(MARK)[1].split(END_MARK)[0].strip() == tables(vision_scores())
    figures = (f"{Recipe.steps:,}", f"{Recipe.pages:,} steps", f"{Recipe.batch} scenes", f"{Recipe.retold} readings")
    assert all(figure in text for figure in figures) and f"{Recipe.cool_down * 100:.0f} %" in text
    forms = {one.form: one for one in vision_scores().forms}
    for line in tables(vision_scores()).split("\n\n")[1].splitlines()[2:]:
        assert ("**" in line) == forms[line.split(" | ")[0].removeprefix("| ")].relied_on, "bold is relied on"


def test_rules_answer_what_text_can_tell_and_pass_on_colours():
    pytest.importorskip("rapidocr")
    for kind, seed in (("bars", 0), ("receipt", 2), ("table", 1), ("pie", 13), ("pair", 0)):  # that the tool reads well
        scene = draw(kind, f"{HELD_OUT}:{seed}")
        pages = ocr_rules.pages_of(scene)
        for question in scene.questions:
            expected = question.answer if ocr_rules.has_rule(question) else None
            assert ocr_rules.answer(pages, question) == expected, f"{kind}: {question.text}"
    for kind in ("shapes", "moving"):
        scene = draw(kind, f"{HELD_OUT}:0")
        ruled = {question.form for question in scene.questions if ocr_rules.has_rule(question)}
        assert ruled == ({"moving/frames"} if kind == "moving" else set()), "no text says it"

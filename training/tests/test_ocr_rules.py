"""training/ocr_rules: the opponent that reads with OCR and answers by rules."""

import pytest

from course.drawn.charts import Row
from course.drawn.draws import draw_scene
from course.drawn.scenes import pie
from training import ocr_rules, vision_measure

RULED = [("bars", 0), ("receipt", 2), ("table", 1), ("pie", 13), ("pair", 0)]


@pytest.mark.parametrize(
    ("kind", "seed"),
    RULED,  # that the tool reads without a fault
)
def test_rules_answer_what_text_can_tell_and_pass_on_colours(kind, seed):
    pytest.importorskip("rapidocr")
    scene = draw_scene(kind, f"{vision_measure.HELD_OUT}:{seed}")
    pages = ocr_rules.pages_of(scene)
    assert len(pages) == len(scene.pictures)
    for question in scene.questions:
        wanted = question.answer if ocr_rules.has_rule(question) else None
        assert ocr_rules.answer(pages, question) == wanted, question.text


@pytest.mark.parametrize("kind", ["heights", "curve", "wedges"])
def test_of_a_chart_without_values_rules_tell_how_many_there_are_and_what_is_not_there(kind):
    pytest.importorskip("rapidocr")
    for seed in range(12):  # until one that the tool reads without a fault
        scene = draw_scene(kind, f"{vision_measure.HELD_OUT}:{seed}")
        ruled = [question for question in scene.questions if ocr_rules.has_rule(question)]
        pages = ocr_rules.pages_of(scene)
        if all(ocr_rules.answer(pages, question) == question.answer for question in ruled):
            break
    else:
        pytest.fail("the rules counted the labels of none of twelve charts")
    assert {question.form for question in ruled} <= {f"{kind}/count", f"{kind}/value"} and ruled


@pytest.mark.parametrize("kind", ["shapes", "moving"])
def test_what_no_text_says_cannot_be_answered_by_rules(kind):
    scene = draw_scene(kind, "held-out:0")
    for question in scene.questions:
        frames = question.form == "moving/frames"
        assert ocr_rules.has_rule(question) == frames
        assert ocr_rules.answer(scene.pictures, question) == (question.answer if frames else None)


def test_percents_on_the_slices_of_a_pie_belong_to_nobody_but_its_names_can_be_counted():
    pytest.importorskip("rapidocr")
    scene = pie([Row("Rent", 50, "blue"), Row("Food", 30, "red"), Row("Fun", 20, "green")], printed="slices")
    pages = ocr_rules.pages_of(scene)
    said = {question.form: ocr_rules.answer(pages, question) for question in scene.questions}
    assert said["pie/count"] == "3"
    assert {said[f"pie/{form}"] for form in ("value", "largest", "compare", "colour")} == {None}

"""The shipped vision model, run for real: it answers what lesson 04 relies on."""

import pytest

import slmlab
from course import drawn
from slmlab.pictures import as_pictures
from slmlab.records import Message

CHART = drawn.bars([drawn.Row("Mon", 34, "red"), drawn.Row("Tue", 71, "blue"), drawn.Row("Wed", 52, "green")])


@pytest.fixture(scope="module")
def model():
    with slmlab.load("tiny-vlm") as loaded:
        yield loaded


def test_it_answers_the_forms_that_the_lesson_relies_on(model):
    bill = drawn.receipt([("Milk", 250), ("Bread", 320), ("Tea", 485)])
    for scene, forms in ((CHART, ("count", "value", "largest", "colour")), (bill, ("total", "price"))):
        for form in forms:
            question = next(one for one in scene.questions if one.form == f"{scene.kind}/{form}")
            reply = model.ask(question.text, images=scene.pictures).text
            assert drawn.answer_of(reply) == question.answer, f"{question.text} {reply}"
            assert drawn.reading_of(reply) == scene.reading


def test_its_answer_follows_the_reading_that_it_is_given(model):
    first = Message("user", "How many bars are there?", images=as_pictures(CHART.pictures))
    for number in ("71", "17"):
        reading = Message("assistant", f"Mon red 34, Tue blue {number}, Wed green 52 => 3")
        assert drawn.answer_of(model.ask([first, reading, Message("user", "How much is Tue?")]).text) == number

"""The shipped vision model, run for real: it answers as well as its scores say, through every door of the course."""

import pytest

import slmlab
from course.drawn import scenes
from course.drawn.charts import Row
from course.drawn.draws import draw_scene
from course.drawn.questions import answer_of, reading_of
from course.drawn.scores import vision_scores
from slmlab.__main__ import main
from slmlab.records import Message

ROWS = [Row("Mon", 34, "red"), Row("Tue", 71, "blue"), Row("Wed", 52, "green")]
CHART = scenes.bars(ROWS)


@pytest.fixture(scope="module")
def model():
    with slmlab.load("tiny-vlm") as loaded:
        yield loaded


def held_out(form: str, wanted: int = 3):
    """Questions of a form on pictures that no training saw."""
    for number in range(100):
        scene = draw_scene(form.split("/")[0], f"held-out:{number}")
        found = next((question for question in scene.questions if question.form == form), None)
        if found:
            yield scene, found
            wanted -= 1
        if not wanted:
            return


def test_it_answers_the_forms_that_the_lesson_relies_on(model):
    relied_on = [one.form for one in vision_scores().forms if one.relied_on and not one.form.endswith("/absent")]
    asked = [row for form in relied_on for row in held_out(form)]
    right = [
        answer_of(model.ask(question.text, images=scene.pictures).text) == question.answer for scene, question in asked
    ]
    assert len(right) > 20 and sum(right) / len(right) > 0.8, [
        question for (_, question), one in zip(asked, right, strict=True) if not one
    ]


def test_its_answer_follows_the_reading_that_it_is_given(model):
    first = Message("user", "How many bars are there?", images=slmlab.as_pictures(CHART.pictures))
    for said in ("71", "17"):
        turns = [first, Message("assistant", f"Mon red 34, Tue blue {said}, Wed green 52 => 3")]
        assert answer_of(model.ask([*turns, Message("user", "How much is Tue?")]).text) == said


def test_the_command_line_asks_about_a_file(tmp_path, capsys):
    path = tmp_path / "chart.png"
    CHART.pictures[0].save(path)
    assert main(["chat", "--model", "tiny-vlm", "--image", str(path), "How many bars are there?"]) == 0
    reply = capsys.readouterr().out
    assert "=> 3" in reply and reading_of(reply).count(",") == 2


def test_too_many_pictures_are_one_clear_line(tmp_path, capfd):
    path = tmp_path / "chart.png"
    CHART.pictures[0].save(path)
    assert main(["chat", "--model", "tiny-vlm", *["--image", str(path)] * 8, "How many bars are there?"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "8 pictures among them" in line

"""The quizzes: their questions as data, and the box driven by code as by a reader."""

from course import record
from course.live import marked
from course.quizzes import quiz, quizzes


def test_every_question_has_options_to_tell_apart_one_answer_and_a_reason():
    asked = [one for quiz in quizzes().values() for one in quiz.questions]
    for one in asked:
        assert 3 <= len(one.options) == len(set(one.options)) <= 4, one.ask
        assert set(one.answer) < set(range(len(one.options))) and len(one.why) > 40, one.ask
    places = [at for one in asked for at in one.answer]
    assert max(map(places.count, range(4))) <= len(places) / 2, "the right answers have no favourite place"


def test_a_quiz_scores_explains_and_keeps_the_best():
    box = quiz("start")
    assert [choice.index for choice in box.choices] == [None] * 3 and not any(one.value for one in box.remarks)
    questions = box.quiz.questions
    box.choices[0].index = questions[0].answer[0]
    box.choices[1].index = (questions[1].answer[0] + 1) % 4
    box.button.click()
    assert "Score: 1 of 3. Best so far: 1 of 3." in box.status.value and 'role="status"' in box.status.value
    first, second, third = (remark.value for remark in box.remarks)
    assert "✓" in first and "Set-up fetched the weights" in first
    assert "Not right." in second and "B is right" in second and "Not answered yet" in third
    for number, one in enumerate(questions):
        box.choices[number].index = one.answer[0]
    assert box.check() == 3
    box.choices[0].index = None
    assert box.check() == 2 and "Score: 2 of 3. Best so far: 3 of 3." in box.status.value
    assert record.read()[0]["quizzes"]["start"] == {"best": 3, "of": 3}


def test_a_quiz_reads_as_text_with_its_answers_folded_away():
    box = quiz("start")
    bundle = box._repr_mimebundle_()
    html, text = bundle["text/html"], bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == box.box.model_id
    assert html.count("<li>") == 3 * 4 + 3 + 3 and html.index("<details>") > html.index("Drawing the text")
    assert "style" not in html, "it reads well where styles are stripped"
    assert "1. The bundled model answered." in text and "   C. Nothing: the weights" in text
    assert text.endswith("Answers: 1 C · 2 B · 3 A") and repr(box) == text


def test_code_between_backticks_is_shown_as_code():
    assert marked("ask `a<b` now, `") == "ask <code>a&lt;b</code> now, `"

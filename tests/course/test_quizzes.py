"""The quizzes: their questions as data, and the box driven by code as by a reader."""

from course import record
from course.live import marked
from course.quizzes import quiz, quizzes

ASKED = [one for each in quizzes().values() for one in each.questions]


def test_every_question_has_options_to_tell_apart_right_ones_and_a_reason():
    for one in ASKED:
        assert 3 <= len(one.options) == len(set(one.options)) <= 4, one.ask
        assert list(one.answer) == sorted({*one.answer} & {*range(len(one.options))}) and one.answer, one.ask
        assert len(one.answer) < len(one.options) and len(one.why) > 40, one.ask


def test_no_option_is_given_away_by_its_length_or_its_place():
    for pick in (max, min):
        seen = [one for one in ASKED if pick(map(len, one.options)) in [len(one.options[at]) for at in one.answer]]
        assert len(seen) <= len(ASKED) / 3, [one.ask for one in seen]
    for one in ASKED:
        assert max(map(len, one.options)) < 2 * min(map(len, one.options)), one.ask
    places = [at for one in ASKED for at in one.answer]
    assert all(len(places) / 6 <= places.count(at) <= len(places) / 3 for at in range(4)), places


def test_each_quiz_asks_for_the_readers_own_output_and_every_second_one_has_two_right_options():
    assert all(any(one.ask.startswith("Look at ") for one in each.questions) for each in quizzes().values())
    two = [any(len(one.answer) == 2 for one in each.questions) for each in quizzes().values()]
    assert all(map(any, zip(two, two[1:], strict=False))), two


def test_a_quiz_scores_explains_and_keeps_the_best():
    box = quiz("start")
    questions, (first, second, third) = box.quiz.questions, box.choices
    assert first.index is None and not any(one.value for one in box.remarks)
    first.index, third.children[1].value = questions[0].answer[0], True
    box.button.click()
    assert "Score: 1 of 3. Best so far: 1 of 3." in box.status.value and 'role="status"' in box.status.value
    said = [remark.value for remark in box.remarks]
    assert "✓ Right." in said[0] and "digits only" in said[0] and "Not answered yet" in said[1]
    assert "Not right." in said[2] and "B and D are right" in said[2], "one of two is not enough"
    second.index, third.children[3].value = questions[1].answer[0], True
    assert box.check() == 3
    first.index = None
    assert box.check() == 2 and "Score: 2 of 3. Best so far: 3 of 3." in box.status.value
    assert record.read()[0]["quizzes"]["start"] == {"best": 3, "of": 3}


def test_a_quiz_reads_as_text_with_its_answers_folded_away():
    box = quiz("start")
    bundle = box._repr_mimebundle_()
    html, text = bundle["text/html"], bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == box.box.model_id
    assert html.count("<li>") == 3 * 4 + 3 + 3 and html.index("<details>") > html.index("The wait for the first")
    assert "style" not in html, "it reads well where styles are stripped"
    assert "1. Look at the strip" in text and "   C. Into four tokens" in text and "Choose all that are" in text
    assert text.endswith("Answers: 1 C · 2 A · 3 B and D") and repr(box) == text


def test_code_between_backticks_is_shown_as_code():
    assert marked("ask `a<b` now, `") == "ask <code>a&lt;b</code> now, `"
    assert marked("it is `` a ``` b `` here") == "it is <code>a ``` b</code> here"

"""The questions as data, and their score."""

import pytest

from course.quizzes import find_quiz, quizzes
from slmlab.errors import BadRequest, UnknownName


def test_every_lesson_has_its_quiz():
    assert {name: len(one.questions) for name, one in quizzes().items()} == {
        "start": 3, "slm-vs-llm": 5, "instruct": 5, "onnx": 5, "vision": 6, "moe": 6, "github-models": 5,
        "nim": 4, "foundry": 4, "runtimes": 6,
    }  # fmt: skip


@pytest.mark.parametrize("name", quizzes())
def test_every_question_has_options_to_tell_apart_one_answer_and_a_reason(name):
    for one in find_quiz(name).questions:
        assert 3 <= len(one.options) == len(set(one.options)) <= 4, one.ask
        assert 0 <= one.answer < len(one.options) and len(one.why) > 40, one.ask


def test_the_right_answers_have_no_favourite_place():
    places = [one.answer for quiz in quizzes().values() for one in quiz.questions]
    assert max(places.count(place) for place in range(4)) <= len(places) / 2


def test_the_score_counts_right_choices_and_passes_over_none():
    quiz = find_quiz("start")
    right = [one.answer for one in quiz.questions]
    assert quiz.score(right) == 3 and quiz.score([None] * 3) == 0 and quiz.score([right[0], None, 99]) == 1


def test_a_score_needs_a_choice_for_every_question():
    with pytest.raises(BadRequest, match="2 choices for 3 questions"):
        find_quiz("start").score([0, 1])


def test_an_unknown_quiz_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Available: start"):
        find_quiz("stat")

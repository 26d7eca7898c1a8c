"""Scores that follow from records, with a model whose opinions are known."""

import math
from types import SimpleNamespace

import pytest

from course.evaluate import Question, mean_logprob, questions, says, score
from course.inside.words import leans
from slmlab.chat import TokenPiece
from tests.live_server import ScriptedEngine


class Opinionated(ScriptedEngine):
    """A model of words: likes some of them, and answers every question with one sentence."""

    def __init__(self, likes, sentence="It is in Rome."):
        super().__init__(sentence)
        self.likes, self.name = likes, "opinionated"

    def logprobs(self, text, after):
        return [(TokenPiece(0, word), self.likes.get(word, -9.0)) for word in text.split()]


CHOICE = Question("q1", "facts", "Question: where?\nAnswer:", options=(" Rome", " Paris"))
OPEN = Question("q2", "reading", "Where is it?", answers=("rome",))


def test_a_choice_goes_to_the_likelier_option_whatever_its_length():
    assert [score(Opinionated({town: -1.0}), [CHOICE]).right("facts") for town in ("Rome", "Paris")] == [1, 0]
    model = Opinionated({"a": -2.0, "b": -2.0, "c": -2.0, "x": -3.0})
    assert mean_logprob(model, "p q", " a b c") > mean_logprob(model, "p q", " x")


def test_an_open_question_needs_the_answer_as_a_word():
    assert score(Opinionated({}), [OPEN]).right("reading") == 1
    assert score(Opinionated({}, "I love romance."), [OPEN]).right("reading") == 0
    assert says("9.9 is larger.", "9.9 is larger") and not says("19", "9")


def test_topics_are_counted_one_by_one():
    found = score(Opinionated({"Paris": -1.0}), [CHOICE, OPEN])
    assert str(found) == "topic    opinionated\nfacts         0 of 1\nreading       1 of 1\nall           1 of 2"


def test_a_model_that_was_not_taught_to_chat_goes_on_with_the_text():
    model = Opinionated({}, "never asked")
    model.format, model.complete = SimpleNamespace(template=None), lambda text, **_: SimpleNamespace(text=" In Rome.")
    assert score(model, [OPEN]).right("reading") == 1


def test_leans_are_sorted_and_sum_the_two_words_only():
    class Split:
        def logprobs(self, text, after):
            return [(TokenPiece(0, text), math.log(0.2 if text == " she" else 0.6 if "pilot" in after else 0.1))]

    found = leans(Split(), "The {} said that", ["nurse", "pilot"], "he", "she")
    assert [one.word for one in found] == ["pilot", "nurse"]
    assert found[0].share == pytest.approx(0.75)


def test_every_question_can_be_judged():
    found = questions("first_steps")
    assert len({one.id for one in found}) == len(found) == 24
    for one in found:
        assert bool(one.options) != bool(one.answers), one.id
        assert all(option.startswith(" ") for option in one.options) and len(set(one.options)) == len(one.options)

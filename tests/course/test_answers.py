"""A learner's answer may do anything; what is said of it stays kind, and nothing gets out."""

import threading
import time

import numpy as np
import pytest

from course import answers
from course.answers import NotYet, code, function_in, given, judge, number_from, numbers_from, shown


def calls(function):
    """A verdict that only calls the learner's function."""
    given(function)


def test_a_right_answer_has_nothing_missing():
    assert judge(lambda answer: None, 3) is None


def test_no_answer_and_a_placeholder_are_named():
    assert judge(calls, None) == "nothing is handed over yet"
    assert "`...` still waits" in judge(calls, ...)


def test_a_fault_is_named_with_the_learners_own_line():
    def halve():
        return 1 / 0

    said = judge(calls, halve)
    assert said == "it stopped with `ZeroDivisionError: division by zero` in its line `return 1 / 0`"


def test_a_fault_inside_a_library_is_shown_at_the_learners_line():
    import json

    def read():
        return json.loads("{")

    assert "in its line `return json.loads(" in judge(calls, read)


def test_a_function_with_other_arguments_is_told_so_and_not_lost():
    assert "TypeError" in judge(calls, lambda a, b: a)


def test_a_loop_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(answers, "LIMIT_S", 0.1)

    def spin():
        while True:
            try:
                pass
            except Exception:
                pass

    began = time.perf_counter()
    assert "still running after 0.1 seconds" in judge(calls, spin)
    assert time.perf_counter() - began < 5


def test_the_time_limit_leaves_no_thread_and_strikes_no_later_code(monkeypatch):
    before = threading.active_count()
    for _ in range(20):
        monkeypatch.setattr(answers, "LIMIT_S", 0.002)
        judge(calls, lambda: time.sleep(0.0019))
    for _ in range(1000):
        pass  # an exception on its way would come out here
    time.sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "fault", [MemoryError, KeyError("x"), StopIteration, SystemExit, type("Odd", (Exception,), {})]
)
def test_whatever_is_raised_becomes_a_sentence(fault):
    def fail():
        raise fault

    assert "stopped with" in judge(calls, fail) or "`exit`" in judge(calls, fail)


def test_an_interrupt_by_the_reader_is_not_swallowed():
    def wait():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(calls, wait)


def test_a_function_that_calls_itself_forever_is_named():
    def again():
        return again()

    assert judge(calls, again) == "your function calls itself without end"


def test_what_the_learner_prints_is_left_alone(capsys):
    def talk():
        print("here I am")

    assert "gave nothing" in judge(calls, talk)
    assert capsys.readouterr().out == "here I am\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "gave nothing; does it end in `return`"), (..., "put your code in its place"), (iter([1]), "generator")],
)
def test_what_a_function_gives_is_named_when_it_is_nothing(value, words):
    with pytest.raises(NotYet, match=words):
        given(lambda: value)


def test_the_result_instead_of_the_function_is_named():
    with pytest.raises(NotYet, match="`f` with no parentheses, not `3.5`"):
        function_in(3.5, "f")
    with pytest.raises(NotYet, match="hand over your function itself"):
        function_in(int, "f")


@pytest.mark.parametrize("value", ["3", [1], True, object(), float("nan"), 10**400])
def test_what_is_no_number_is_named(value):
    with pytest.raises(NotYet, match="your function gave"):
        number_from(value)


def test_numbers_of_numpy_count_as_numbers():
    assert number_from(np.float32(2)) == number_from(np.array(2)) == 2.0
    assert numbers_from(np.array([1, 2])) == numbers_from((1, 2)) == [1.0, 2.0]


@pytest.mark.parametrize("value", ["12", 5, {1: 2}, [1, "a"], [[1], [2]], None])
def test_what_is_no_list_of_numbers_is_named(value):
    with pytest.raises(NotYet, match="a list of numbers is wanted"):
        numbers_from(value)


def test_a_list_of_another_length_is_named():
    with pytest.raises(NotYet, match="2 numbers where 3"):
        numbers_from([1, 2], size=3)


def test_values_are_shown_short_whatever_they_are():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert len(shown(list(range(10**6)))) < 70 and len(shown("x" * 10**6)) < 70
    assert "Broken" in shown(Broken()) and len(shown(10**5000)) < 70
    assert code("a `tick`\nand more") == "`a 'tick' and more`"

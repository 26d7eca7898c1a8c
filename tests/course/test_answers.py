"""A learner's answer may do anything; what is said of it stays kind, and nothing gets out."""

import _thread
import threading
import time

import numpy as np
import pytest

from course import answers
from course.answers import NotYet, code, function_in, judge, number_from, numbers_from, returned, shown


def calls(function):
    """A verdict that only calls the learner's function."""
    returned(function())


def test_no_answer_and_a_placeholder_are_named():
    assert judge(lambda answer: None, 3) is None, "a right answer has nothing missing"
    assert judge(calls, None) == "nothing is handed over yet"
    assert "`...` still waits" in judge(calls, ...)


def test_a_fault_is_named_with_the_learners_own_line():
    import json

    def halve():
        return 1 / 0

    def read():
        return json.loads("{")

    assert judge(calls, halve) == "it stopped with `ZeroDivisionError: division by zero` in its line `return 1 / 0`"
    assert "in its line `return json.loads(" in judge(calls, read), "and not the library's"
    assert "TypeError" in judge(calls, lambda a, b: a), "a function with other arguments"


def test_a_loop_without_end_is_stopped_though_a_bare_except_swallows_what_stops_it(monkeypatch):
    monkeypatch.setattr(answers, "LIMIT_S", 0.3)

    def spin():
        swallowed = 0
        while True:
            try:
                while True:
                    pass
            except:  # noqa: E722
                swallowed += 1
                if swallowed == 3:
                    raise

    before = threading.active_count()
    assert "still running after 0.3 seconds and was stopped; is there a loop" in judge(calls, spin)
    assert threading.active_count() <= before


def test_the_cell_goes_on_where_an_answer_cannot_be_stopped(monkeypatch):
    monkeypatch.setattr(answers, "LIMIT_S", 0.1)
    done = []

    def deaf():
        while not done:
            try:
                time.sleep(0.2)
            except:  # noqa: E722
                pass

    assert "can't be stopped, so restart the kernel" in judge(calls, deaf)
    done.append(True)


def test_the_reader_can_interrupt_such_a_loop():
    done = threading.Event()

    def spin():
        _thread.interrupt_main()  # what Ctrl-C and the stop button do
        while not done.is_set():
            try:
                sum(range(100))
            except:  # noqa: E722
                pass

    with pytest.raises(KeyboardInterrupt):
        judge(calls, spin)
    done.set()


def test_whatever_is_raised_becomes_a_sentence():
    def raises(fault):
        def fail():
            raise fault

        return fail

    for fault in (MemoryError, KeyError("x")):
        assert "stopped with" in judge(calls, raises(fault))
    assert "`exit`" in judge(calls, raises(SystemExit))


def refused(read, *arguments, **options) -> str:
    with pytest.raises(NotYet) as caught:
        read(*arguments, **options)
    return str(caught.value)


def test_what_a_function_gives_is_named_when_it_is_of_no_use():
    nothing = ((None, "gave nothing; does it end in `return`"), (..., "in its place"), (iter([]), "a generator"))
    for value, words in nothing:
        assert words in refused(returned, value)
    for value in ("3", [1], True, 10**400):
        assert "and a number is wanted" in refused(number_from, value)
    assert "no number to work with" in refused(number_from, float("nan"))
    for value in ("12", 5, {1: 2}, [1, "a"], [[1], [2]]):
        assert "a list of numbers is wanted" in refused(numbers_from, value)
    assert "2 numbers where 3" in refused(numbers_from, [1, 2], size=3)

    assert "`f` with no parentheses, not `3.5`" in refused(function_in, 3.5, "f")
    assert number_from(np.float32(2)) == number_from(np.array(2)) == 2.0
    assert numbers_from(np.array([1, 2])) == numbers_from((1, 2)) == [1.0, 2.0]


def test_values_are_shown_short_whatever_they_are():
    assert len(shown(list(range(10**6)))) < 70 and len(shown("x" * 10**6)) < 70
    assert code("a\n  line  more") == "`a line  more`" and code("a ```tick") == "```` a ```tick ````", "as it is"

"""check(), its hints and its verdicts; the table of progress."""

import argparse

import pytest

from course import checking, record
from course.checking import check
from course.exercises import registry
from course.exercises.registry import exercises
from course.quizzes import quiz
from slmlab.errors import BadRequest, UnknownName


@pytest.fixture
def doubling(monkeypatch):
    """An exercise of the test's own, on a shelf of its own."""
    one = registry.Exercise(
        id="start-99", lesson="00_test", title="Twice", task="Write `double(n)`.", hints=("2", "2 *", "2 * n"),
        starter='...\n\ncheck("start-99", double)', right="twice as much.",
    )  # fmt: skip
    monkeypatch.setattr(registry, "exercises", lambda: {"start-99": one})
    answer = registry.Solution(double, cases=[(4,)], told="{n} gave {value:g}", otherwise="")
    monkeypatch.setitem(registry._SOLUTIONS, "start-99", answer)


def double(n):
    return 2 * n


def wrong(n):
    return n


def test_a_right_answer_is_kept_and_a_wrong_one_gets_what_is_wrong(doubling):
    verdict = check("start-99", wrong)
    assert verdict.passed is False and record.read()[0]["exercises"] == {}
    assert str(verdict) == 'Not yet: 4 gave 4.\nFor a hint: `check("start-99", hint=1)`'
    verdict = check("start-99", double)
    assert verdict and str(verdict).startswith("✓ Right: twice as much.") and not verdict.hints
    assert set(record.read()[0]["exercises"]) == {"start-99"}


def test_hints_come_in_stages_with_an_answer_or_without(doubling):
    second = str(check("start-99", wrong, hint=2))
    assert "Hint 2 of 3: 2 *" in second and "2 * n" not in second
    alone = check("start-99", hint=3)
    assert alone.passed is None and not alone and "Not yet" not in str(alone)
    assert str(alone).startswith("Write `double(n)`.") and len(alone.hints) == 3
    assert "solution=True" in str(alone) and len(check("start-99", hint=99).hints) == 3
    with pytest.raises(BadRequest, match="1 to 3"):
        check("start-99", hint=-1)


def test_the_solution_is_shown_only_when_asked_for(doubling):
    assert "return 2 * n" not in str(check("start-99", wrong, hint=3))
    shown = check("start-99", solution=True)
    assert "return 2 * n" in str(shown) and "<pre><code>def double" in shown.static_html()
    assert shown.passed is None and record.read()[0]["exercises"] == {}, "looking is not solving"


def test_buttons_show_hints_and_one_way_where_a_kernel_runs_and_a_stored_page_says_the_calls(doubling):
    verdict = check("start-99", wrong)
    assert "hint=1" in verdict._repr_mimebundle_()["text/html"] and "Hint" not in verdict.status.value
    for number in (1, 2, 3, 3):
        verdict.hint_button.click()
        assert f"Hint {number} of 3" in verdict.status.value and f"Hint {number + 1}" not in verdict.status.value
    verdict.way_button.click()
    assert "return 2 * n" in verdict.status.value and record.read()[0]["exercises"] == {}


def test_an_unknown_exercise_or_quiz_lists_the_near_ones():
    for near, wanted in (("Available: size-3", lambda: check("size3")), ("Available: start", lambda: quiz("strat"))):
        with pytest.raises(UnknownName, match=near):
            wanted()


def test_check_never_raises_because_of_the_answer():
    for answer in (None, ..., 3, "text", double, int, [], lambda: 1 / 0):
        for name in exercises():
            verdict = check(name, answer)
            assert verdict.passed is False and str(verdict).startswith("Not yet: "), name
            assert "\n\n" not in verdict.message and len(verdict.message) < 400, name


def test_progress_counts_lesson_by_lesson():
    for name in ("size-3", "an exercise of an older course"):
        record.note_exercise(name)
    record.note_quiz("slm-vs-llm", 4, 5)
    found = checking.progress()
    assert found.rows[:2] == [("00_start_here", "0 of 2", "– of 3"), ("01_slm_vs_llm", "1 of 3", "4 of 5")]
    assert "01_slm_vs_llm" in str(found) and "1 of 3" in found._repr_html_()


def test_the_command_shows_progress_and_forgets_it(capsys):
    parser = argparse.ArgumentParser()
    checking.register(parser.add_subparsers())
    record.note_exercise("size-3")
    for arguments, words in ((["progress"], "1 of 3"), (["progress", "reset"], "Progress is cleared.")):
        parsed = parser.parse_args(arguments)
        parsed.run(parsed)
        assert words in capsys.readouterr().out
    assert record.read()[0]["exercises"] == {}

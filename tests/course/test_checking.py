"""check(), its hints and its verdicts; the table of progress."""

import argparse

import pytest

from course import checking, record
from course.checking import check
from course.exercises import registry
from course.exercises.registry import exercises


@pytest.fixture
def doubling(monkeypatch):
    """An exercise of the test's own, on a shelf of its own."""
    one = registry.Exercise(
        id="start-99", lesson="00_test", title="Twice", hints=("2", "2 *", "2 * n"),
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
    assert not verdict and str(verdict) == "Not yet: 4 gave 4." and record.read()[0]["exercises"] == {}
    verdict = check("start-99", double)
    assert verdict and str(verdict) == "✓ Right: twice as much."
    assert set(record.read()[0]["exercises"]) == {"start-99"}


def test_buttons_show_hints_and_one_way(doubling):
    verdict = check("start-99", wrong)
    assert "text/html" in verdict._repr_mimebundle_() and "Hint" not in verdict.status.value
    for number in (1, 2, 3, 3):
        verdict.hint_button.click()
        assert f"Hint {number} of 3" in verdict.status.value and f"Hint {number + 1}" not in verdict.status.value
    assert "return 2 * n" not in verdict.status.value, "the solution is shown only when asked for"
    verdict.way_button.click()
    assert "<pre><code>def double" in verdict.status.value and "return 2 * n" in str(verdict)
    assert record.read()[0]["exercises"] == {}, "looking is not solving"


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

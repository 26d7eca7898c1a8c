"""check(), its hints and its verdicts; the table of progress."""

import pytest

from course import checking as checks
from course import record as progress
from course.checking import check, reset_progress
from course.exercises import registry as exercises
from slmlab.errors import BadRequest, UnknownName


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "progress.json"))


@pytest.fixture
def doubling(monkeypatch):
    """An exercise of the test's own, on a shelf of its own."""
    one = exercises.Exercise(
        id="double-1", lesson="00_test", title="Twice", task="Write `double(n)`.", hints=("2", "2 *", "2 * n"),
        starter="...", solution="\ndef double(n):\n    return 2 * n\n", right="twice as much.",
    )  # fmt: skip
    monkeypatch.setattr(exercises, "exercises", lambda: {"double-1": one})
    monkeypatch.setitem(exercises.VERDICTS, "double-1", lambda f: None if f(4) == 8 else f"4 gave {f(4)}")
    return one


def double(n):
    return 2 * n


def wrong(n):
    return n


def test_a_right_answer_passes_and_is_kept(doubling):
    verdict = check("double-1", double)
    assert verdict and str(verdict).startswith("✓ Right — twice as much.") and not verdict.hints
    assert set(progress.read()[0]["exercises"]) == {"double-1"}


def test_a_wrong_answer_gets_what_is_wrong_and_the_first_hint(doubling):
    verdict = check("double-1", wrong)
    assert not verdict and verdict.passed is False
    assert str(verdict) == '○ Not yet — 4 gave 4.\nHint 1 of 3: 2 (`check("double-1", hint=2)` for more)'
    assert progress.read()[0]["exercises"] == {}


def test_hints_come_in_stages_with_an_answer_or_without(doubling):
    assert "Hint 2 of 3: 2 *" in str(check("double-1", wrong, hint=2)) and "2 * n" not in str(
        check("double-1", wrong, hint=2)
    )
    alone = check("double-1", hint=3)
    assert alone.passed is None and not alone and "Not yet" not in str(alone)
    assert str(alone).startswith("Write `double(n)`.") and len(alone.hints) == 3
    assert "solution=True" in str(alone) and len(check("double-1", hint=99).hints) == 3


def test_the_solution_is_shown_only_when_asked_for(doubling):
    assert "return 2 * n" not in str(check("double-1", wrong, hint=3))
    shown = check("double-1", solution=True)
    assert "return 2 * n" in str(shown) and "```python\ndef double" in shown._repr_markdown_()
    assert shown.passed is None and progress.read()[0]["exercises"] == {}, "looking is not solving"


@pytest.mark.parametrize("hint", [-1, 1.5, "2", True, None])
def test_a_hint_is_a_whole_number(doubling, hint):
    with pytest.raises(BadRequest, match="1 to 3"):
        check("double-1", hint=hint)


def test_an_unknown_exercise_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Available: size-1"):
        check("size1", double)
    with pytest.raises(UnknownName):
        check(None)


@pytest.mark.parametrize("answer", [None, ..., 3, "text", double, int, [], float("nan"), object(), lambda: 1 / 0])
def test_check_never_raises_because_of_the_answer(answer):
    for name in exercises.exercises():
        verdict = check(name, answer)
        assert verdict.passed is False and str(verdict).startswith("○ Not yet — "), name
        assert "\n\n" not in verdict.message and len(verdict.message) < 400, name


def test_progress_that_cannot_be_saved_is_one_line_under_the_verdict(doubling, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "progress.json" / "x" / "y"))
    (tmp_path / "progress.json").write_text("a file, no folder")
    verdict = check("double-1", double)
    assert verdict and "Progress was not saved" in str(verdict).splitlines()[-1]


def test_every_exercise_has_a_verdict_and_every_verdict_an_exercise():
    assert set(exercises.VERDICTS) == set(exercises.exercises())


def line(lesson):
    return next(one for one in checks.progress().lessons if one.lesson == lesson)


def test_progress_counts_lesson_by_lesson():
    progress.note_exercise("size-1")
    progress.note_exercise("an exercise of an older course")
    progress.note_quiz("slm-vs-llm", 4, 5)
    one = line("01_slm_vs_llm")
    assert (one.done, one.exercises, one.quiz_best, one.quiz_questions) == (1, 4, 4, 5)
    assert line("00_start_here").quiz == "– of 3" and line("00_start_here").quiz_best is None
    assert "01_slm_vs_llm" in str(checks.progress()) and "1 of 4" in checks.progress()._repr_html_()


def test_resetting_one_lesson_leaves_the_others():
    for name in ("size-1", "onnx-1"):
        progress.note_exercise(name)
    progress.note_quiz("slm-vs-llm", 4, 5)
    reset_progress("01_slm_vs_llm")
    assert (line("01_slm_vs_llm").done, line("01_slm_vs_llm").quiz_best) == (0, None)
    assert line("03_onnx_runtime").done == 1


def test_resetting_all_forgets_everything():
    progress.note_exercise("an exercise of an older course")
    assert sum(one.done for one in reset_progress().lessons) == 0
    assert progress.read()[0]["exercises"] == {}


def test_resetting_an_unknown_lesson_lists_the_known():
    with pytest.raises(UnknownName, match="Available: 02_instruct"):
        reset_progress("instruct")


def test_lessons_of_exercises_and_quizzes_carry_the_same_names():
    from course.quizzes import quizzes

    assert {one.lesson for one in quizzes().values()} == {one.lesson for one in exercises.exercises().values()}

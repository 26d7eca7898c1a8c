"""A guess: chosen once, kept, answered, summed up; and the lessons' own guesses, each asked and answered."""

import re

import nbformat

from course import predict, progress, record
from tests.conftest import LESSONS


def test_the_first_choice_is_locked_kept_and_shown_again_by_a_later_run(capsys):
    box = predict("tokens", "How many times more?", [1, 2, 4, 8])
    assert box.chosen is None and not any(button.disabled for button in box.buttons)
    assert record.read()[0]["guesses"] == {}
    box.buttons[2].click()
    box.choose(1)
    for seen in (box, predict("tokens", "How many times more?", [1, 2, 4, 8])):
        assert seen.chosen == 4 and [button.disabled for button in seen.buttons] == [True, True, False, True]
        assert seen.buttons[2].description == "4 (your guess)" and "you said 4. Now run on.</div>" in seen.status.value
    predict.answer("tokens", 4.18)
    assert capsys.readouterr().out == "You said 4: right.\n"
    predict.answer("tokens", None)
    assert "no number to compare with" in capsys.readouterr().out
    assert record.read()[0]["guesses"] == {"tokens": {"said": "4", "right": True}}
    predict("tokens", "How many times more?", [3, 9]).choose(9)
    assert record.read()[0]["guesses"] == {"tokens": {"said": "9"}}, "the lesson has other options now"


def test_a_guess_is_answered_in_one_plain_line(capsys):
    town, number = ["Paris", "nothing", "a village"], [10.5, 1000, 51_200]
    cases = (
        (number, None, 4.18, {}, "It is 4.2."),
        (number, 10.5, 51_234.5, {}, "You said 10.5. It is 51,234."),
        (number, 1000, 700, {}, "You said 1,000: right."),
        (town, "Paris", "nothing", {"shown": "It wrote nothing"}, "You said Paris. It wrote nothing."),
        (town, "nothing", "nothing", {"shown": "It wrote nothing"}, "You said nothing: right."),
        (town, "a village", "a village", {}, 'You said "a village": right.'),
        (town, None, "nothing", {"shown": "It wrote nothing."}, "It wrote nothing."),
    )
    for name, (options, said, value, more, line) in enumerate(cases):
        box = predict(str(name), "What?", options)
        if said is not None:
            box.choose(said)
        predict.answer(str(name), value, **more)
        assert capsys.readouterr().out == line + "\n"


def test_progress_says_how_many_guesses_surprised():
    assert "surprised" not in str(progress())
    for name, said in (("one", 1), ("two", 2), ("three", 1)):
        predict(name, "How many?", [1, 2]).choose(said)
    for name in ("one", "two"):
        predict.answer(name, 2)
    assert str(progress()).endswith("1 of 2 guesses surprised you."), "the third is not answered yet"


def test_a_page_without_a_kernel_shows_the_question_and_its_options():
    bundle = predict("one", "What does `a<b` give?", ["True", "an error"])._repr_mimebundle_()
    assert bundle["text/plain"].endswith("(run the notebook to choose)\n   - True\n   - an error")
    assert "<code>a&lt;b</code>" in bundle["text/html"] and bundle["text/html"].count("<li>") == 2


def test_every_guess_of_the_lessons_is_asked_once_before_it_is_answered():
    asked = []
    for path in LESSONS:
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        calls = re.findall(r'predict(\.answer)?\(\s*"([\w-]+)"', "\n".join(cells))
        names = [name for answered, name in calls if not answered]
        assert [name for answered, name in calls if answered] == names and 1 <= len(names) <= 5, path.stem
        asked += names
    assert len(set(asked)) == len(asked)

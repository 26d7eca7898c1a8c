"""teaching/vision_scores: shares with their intervals, letters wrong, and the file that keeps them."""

import json
from dataclasses import replace

import pytest

from course.drawn.scores import (
    GATE,
    FormScore,
    LookScore,
    Share,
    VisionScores,
    count,
    letters_wrong,
    vision_scores,
)
from slmlab.errors import SlmLabError

SCORES = VisionScores(
    forms=(
        FormScore("bars/value", "What is ...?", Share(190, 200), None, Share(2, 100), Share(8, 200), Share(40, 60)),
        FormScore("heights/value", "What is ...?", Share(100, 200), Share(180, 200), Share(0, 0), Share(20, 200), None),
    ),
    readings={"bars": Share(150, 400), "heights": Share(7, 400)},
    letters_wrong={"the model": 0.0125, "OCR": 0.2},
    looks=(LookScore("half the size", Share(3, 200), Share(0, 200)),),
    notes={"pictures": 200, "ocr_pictures": 60},
)


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [
        (190, 200, 0.9104, 0.9726), (180, 200, 0.8506, 0.9343), (100, 200, 0.4314, 0.5686), (1, 10, 0.0179, 0.4042),
        (0, 60, 0.0, 0.0602), (60, 60, 0.9398, 1.0),
    ],
)  # fmt: skip
def test_an_interval_is_wilsons(right, asked, low, high):
    share = Share(right, asked)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)
    for bound in (share.low, share.high):  # the true shares from which what was found is 1.96 deviations away
        away = abs(bound - right / asked)
        assert away == pytest.approx(0, abs=1e-9) or away == pytest.approx(1.96 * (bound * (1 - bound) / asked) ** 0.5)


def test_more_questions_make_a_narrower_interval():
    widths = [share.high - share.low for share in (Share(9, 10), Share(90, 100), Share(900, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_of_nothing_asked_nothing_is_known():
    nothing = Share(0, 0)
    assert (nothing.share, nothing.low, nothing.high, str(nothing)) == (0.0, 0.0, 1.0, "-")


def test_a_share_says_its_interval_and_how_many_were_asked():
    assert str(Share(190, 200)) == "95% (91%-97%, n=200)"
    assert count([True, False, True]) == count(iter([True, False, True])) == Share(2, 3)


@pytest.mark.parametrize(
    ("truth", "said", "share"),
    [
        ("HELLO", "HELLO", 0), ("HELLO", "HELL", 1 / 5), ("HELLO", "HHELLO", 1 / 5), ("HELLO", "HEL1O", 1 / 5),
        ("kitten", "sitting", 3 / 6), ("abc", "", 1), ("ab", "xyxyxy", 3), ("", "ab", 2), ("", "", 0),
    ],
)  # fmt: skip
def test_letters_to_change_add_or_drop_are_counted(truth, said, share):
    assert letters_wrong([truth], [said]) == pytest.approx(share)
    assert letters_wrong([truth, "12345678"], [said, "12345678"]) <= share


def test_letters_are_counted_over_all_texts():
    assert letters_wrong(["aaaaaaaa", "bb"], ["aaaaaaaa", "xx"]) == pytest.approx(0.2), "not the mean of 0 and 1"


def test_texts_without_their_truth_are_no_measure():
    with pytest.raises(ValueError, match="shorter"):
        letters_wrong(["a", "b"], ["a"])


@pytest.mark.parametrize("kind", [lambda path: path, str], ids=["Path", "str"])
def test_scores_come_back_from_their_file(tmp_path, kind):
    path = tmp_path / "scores.json"
    path.write_text(SCORES.to_json(), encoding="utf-8")
    found = vision_scores(kind(path))
    assert found == SCORES and isinstance(found["bars/value"].model, Share)
    assert found["heights/value"].ocr is None and found["bars/value"].near is None


def without(name: str) -> str:
    found = json.loads(SCORES.to_json())
    del found[name]
    return json.dumps(found)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", '"text"', without("forms"), without("readings"), without("letters_wrong"),
        without("notes"),
        SCORES.to_json().replace('"right"', '"rihgt"'), SCORES.to_json().replace('"wording"', '"words"'),
        '{"forms": ["bars"], "readings": {}, "letters_wrong": {}, "notes": {}}',
        '{"forms": [], "readings": [], "letters_wrong": {}, "notes": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_says_how_to_restore_it(tmp_path, content):
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(SlmLabError, match="scores.json can't be read: .*git checkout"):
        vision_scores(tmp_path / "scores.json")


def test_a_missing_file_says_how_to_restore_it(tmp_path):
    with pytest.raises(SlmLabError, match="scores.json can't be read: .*git checkout"):
        vision_scores(tmp_path / "scores.json")


def test_an_unknown_form_is_refused_with_those_there_are():
    with pytest.raises(SlmLabError, match="'bars/price'.*bars/value, heights/value"):
        SCORES["bars/price"]


def test_a_kinds_forms_are_those_of_its_name():
    assert [one.form for one in SCORES.of("bars")] == ["bars/value"] and SCORES.of("pie") == []


def test_a_lesson_relies_on_what_reaches_the_gate():
    assert SCORES["bars/value"].relied_on and not SCORES["heights/value"].relied_on
    assert replace(SCORES["bars/value"], model=Share(round(GATE * 200), 200)).relied_on, "exactly there is enough"


def test_a_table_shows_every_form_beside_its_opponents():
    for shown in (str(SCORES), SCORES._repr_html_()):
        for what in ("bars/value", "95% (91%-97%, n=200)", "heights/value", "within 5", "cannot", "90%"):
            assert what in shown
    assert len(str(SCORES).splitlines()) == 3, "heads, and a row for each form"

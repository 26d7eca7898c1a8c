"""drawn: scores and plots: shares with their intervals, the file that keeps them, and what is drawn of answers."""

import pytest

from course import drawn
from course.drawn.pictures import Row
from course.drawn.scores import GATE, FormScore, LookScore, VisionScores, vision_scores
from course.evaluate import Share
from slmlab.errors import SlmLabError
from slmlab.plots import style
from tests.course.conftest import named

pytestmark = pytest.mark.usefixtures("drawn_cleanly")

VALUE = FormScore("bars/value", "What is ...?", Share(190, 200), None, Share(2, 100), Share(60, 200), Share(40, 50))
HEIGHT = FormScore("heights/value", "?", Share(100, 200), Share(180, 200), Share(60, 200), Share(20, 200), None)
LOOKS = (LookScore("half the size", Share(3, 200), Share(0, 200)),)
SCORES = VisionScores((VALUE, HEIGHT), {"bars": Share(150, 400)}, {"OCR": 0.2}, LOOKS, {"pictures": 200})

BARS = drawn.bars([Row("Ann", 40, "red"), Row("Bo", 80, "green")])
PAIR = drawn.pair([Row("A", 1)], [Row("A", 2)])
LARGEST = next(one for one in BARS.questions if one.form == "bars/largest")
MORE = next(one for one in PAIR.questions if one.form == "pair/larger")


def test_an_interval_is_wilsons():
    known = ((190, 200, 0.9104, 0.9726), (100, 200, 0.4314, 0.5686), (0, 60, 0.0, 0.0602), (60, 60, 0.9398, 1.0))
    for right, asked, low, high in known:
        assert Share(right, asked).interval == pytest.approx((low, high), abs=1e-4)
    assert str(Share(190, 200)) == "95% (91%-97%, n=200)"


def test_scores_come_back_from_their_file():
    shipped = vision_scores()
    assert shipped["heights/value"].near and shipped.notes["pictures"] == 200
    assert set(drawn.LOOKS) < {one.look for one in shipped.looks}


def test_a_form_is_found_by_its_name_and_relied_on_from_the_gate_on():
    assert SCORES["bars/value"] is VALUE and SCORES["heights/value"] is HEIGHT
    assert VALUE.relied_on and not HEIGHT.relied_on and Share(round(GATE * 200), 200).share == GATE


def test_every_answer_has_its_mark_and_the_truth_where_it_is_wrong():
    replies = [f"{BARS.reading} => {LARGEST.reply}", "Ann 40, Bo 8 => Ann", "2", "x" * 500 + "漢"]
    figure = drawn.plots.answers([BARS, BARS, PAIR, BARS], [LARGEST, LARGEST, MORE, LARGEST], replies)
    assert named(figure, "verdict")[:3] == ["Bo  ✓", "Ann  ✗ it is Bo", "2  ✓"]
    assert named(figure, "verdict")[3].startswith("x" * 19 + "…\n✗"), "a reply that will not end is cut"
    colours = [text.get_color() for text in figure.ax.texts if text.get_gid() == "verdict"]
    assert colours == [style.GREEN, style.ORANGE, style.GREEN, style.ORANGE]
    assert [one.replace("\n", " ") for one in named(figure)] == [LARGEST.text, LARGEST.text, MORE.text, LARGEST.text]
    corners = [(image.get_extent()[0], image.get_extent()[3]) for image in figure.ax.images]
    assert len(corners) == 5, "a pair is two pictures"
    assert figure.pictures and len({top for _, top in corners}) == 1, "up to five pictures stand in a row"
    assert figure.caption == "2 of 4 answers are exactly what the picture was drawn from."
    with pytest.raises(SlmLabError, match="at least one scene"):
        drawn.plots.answers([], [], [])


def test_every_form_has_its_share_its_interval_and_its_opponents():
    figure = drawn.plots.scores({"a printed value": VALUE, "a height": HEIGHT})
    assert [label.get_text() for label in figure.ax.get_yticklabels()] == ["a printed value", "a height"]
    spans = [tuple(line.get_xdata()) for line in figure.ax.lines if line.get_linewidth() == 5]
    assert spans == [form.model.interval for form in (VALUE, HEIGHT)]
    marks = {mark: [line.get_xdata()[0] for line in figure.ax.lines if line.get_marker() == mark] for mark in "oD|^"}
    assert marks == {"o": [0.95], "D": [0.5], "|": [0.3, 0.3], "^": [0.8]}, "not by colour alone"
    assert figure.caption.startswith("1 of 2 kinds of question reach 90%. Pale lines are 95% intervals. 1 of the")


def test_pictures_stand_side_by_side_with_their_numbers():
    figure = drawn.plots.pictures([BARS.pictures[0]] * 2)
    assert [text.get_text() for text in figure.ax.texts] == ["1", "2"] and len(figure.ax.images) == 2
    assert figure.caption == "2 pictures of 192 x 192 pixels."

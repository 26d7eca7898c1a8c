"""The looks that the training measures beside the lesson's own."""

import matplotlib
import pytest

from course import drawn
from course.drawn.pictures import Row
from tests.course.test_drawn_pictures import place_of
from training.vision_looks import LOOKS, by_matplotlib

BARS = drawn.bars([Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "blue")])


def test_the_looks_stand_in_the_order_of_the_scores_that_are_kept():
    assert [one.look for one in drawn.vision_scores().looks] == list(LOOKS)


def test_matplotlibs_bars_are_right_whatever_a_notebook_has_set():
    canvas = by_matplotlib(BARS).canvases[0]
    places = [place_of(canvas, colour) for colour in ("red", "green", "blue")]
    assert [x for x, _, _ in places] == sorted(x for x, _, _ in places)
    assert [high / places[1][2] * 80 for _, _, high in places] == pytest.approx([40, 80, 20], abs=2)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert by_matplotlib(BARS).pictures[0].tobytes() == canvas.image.tobytes()
        assert matplotlib.rcParams["font.size"] == 30, "and leaves that as it was"

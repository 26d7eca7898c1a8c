"""teaching/foreign_pictures: another look, and the same truth."""

import matplotlib
import numpy as np
import pytest
from PIL import ImageOps

from course.drawn import scenes
from course.drawn.canvas import SIDE, Style
from course.drawn.charts import Row
from course.drawn.draws import draw_scene
from course.drawn.looks import LOOKS, changed, matplotlib_bars, photographed, shrunk
from slmlab.errors import BadRequest
from tests.course.test_drawn_canvas import inked, of_colour, pixels

ROWS = [Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "blue")]
BARS = scenes.bars(ROWS)
PAIR = scenes.pair(ROWS, [Row(row.label, 100 - row.value, row.colour) for row in ROWS])
WAYS = {
    "matplotlib": lambda scene: matplotlib_bars(ROWS),
    "photographed": photographed,
    "shrunk": shrunk,
    "changed": lambda scene: changed(scene, ImageOps.mirror),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def bytes_of(scene) -> list[bytes]:
    return [picture.tobytes() for picture in scene.pictures]


def of(scene):
    return scene.kind, scene.reading, scene.questions


@each_way
def test_the_look_changes_and_the_truth_does_not(way):
    before = bytes_of(BARS)
    foreign = way(BARS)
    assert of(foreign) == of(BARS) and bytes_of(foreign) != before
    assert [(picture.size, picture.mode) for picture in foreign.pictures] == [((SIDE, SIDE), "RGB")]
    assert bytes_of(BARS) == before, "the scene itself stays as it was"
    assert bytes_of(way(BARS)) == bytes_of(foreign), "and comes out the same every time"


@pytest.mark.parametrize("way", [photographed, shrunk, WAYS["changed"]])
def test_every_picture_of_a_scene_changes(way):
    foreign = way(PAIR)
    assert of(foreign) == of(PAIR)
    assert all(one != other for one, other in zip(bytes_of(foreign), bytes_of(PAIR), strict=True))


def test_matplotlibs_bars_have_their_order_their_colours_and_their_heights():
    canvas = matplotlib_bars(ROWS).canvases[0]
    found = [of_colour(canvas, row.colour) for row in ROWS]
    columns = [np.flatnonzero(one.any(0)).mean() for one in found]
    assert columns == sorted(columns)
    unit = found[1].sum(0).max() / 80
    assert [one.sum(0).max() / unit for one in found] == pytest.approx([40, 80, 20], abs=2)


def test_matplotlib_draws_the_same_whatever_a_notebook_has_set():
    alone = bytes_of(matplotlib_bars(ROWS))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert bytes_of(matplotlib_bars(ROWS)) == alone
        assert matplotlib.rcParams["font.size"] == 30, "and leaves that as it was"


def test_a_photograph_is_darker_uneven_and_another_for_each_seed():
    photo = pixels(photographed(BARS, 1).canvases[0])
    assert photo.mean() < pixels(BARS.canvases[0]).mean()
    assert photo[:, : SIDE // 4].mean() < photo[:, -SIDE // 4 :].mean() - 10, "the light comes from one side"
    assert len({bytes_of(photographed(BARS, seed))[0] for seed in range(5)}) == 5


def test_what_is_photographed_is_still_there():
    scene = scenes.text(["HELLO"])
    foreign = photographed(scene)
    dark = inked(foreign.canvases[0])[20:-20, 20:-20]
    assert 0.5 < dark.sum() / inked(scene.canvases[0]).sum() < 2


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_a_shrunk_picture_stands_in_the_middle_of_its_own_paper(share):
    scene = scenes.text(["HELLO"], Style(size=40, background=(250, 240, 230)))
    large, small = inked(scene.canvases[0]), inked(shrunk(scene, share).canvases[0])
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    assert (columns[-1] - columns[0]) / np.ptp(np.flatnonzero(large.any(0))) == pytest.approx(share, abs=0.05)
    assert abs((columns[0] + columns[-1]) / 2 - SIDE / 2) < 3 and abs((rows[0] + rows[-1]) / 2 - SIDE / 2) < 3
    edge = round(SIDE * (1 - share) / 2) - 1
    around = pixels(shrunk(scene, share).canvases[0])
    assert all((strip == (250, 240, 230)).all() for strip in (around[:edge], around[-edge:], around[:, :edge]))


def test_the_whole_size_is_no_change():
    assert bytes_of(shrunk(BARS, 1)) == bytes_of(BARS)


@pytest.mark.parametrize("share", [0, -1, 1.01, 0.01, float("nan")])
def test_a_share_that_leaves_nothing_or_too_much_is_refused(share):
    with pytest.raises(BadRequest, match="share=.*from 0.05 to 1"):
        shrunk(BARS, share)


@pytest.mark.parametrize("name", LOOKS)
def test_each_named_look_takes_a_drawn_scene_and_a_seed(name):
    scene = draw_scene("bars", "held-out:3")
    foreign = LOOKS[name](scene, 3)
    assert of(foreign) == of(scene) and (bytes_of(foreign) == bytes_of(scene)) == (name == "as trained")

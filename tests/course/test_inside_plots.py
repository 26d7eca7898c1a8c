"""inside.plots: numbers and structure of what is drawn of experts, of a text's way, of a picture and of a gaze."""

import matplotlib
import numpy as np
import pytest

from course import drawn, inside
from course.inside.plots import expert_colours
from course.inside.vision import Gaze, Seen
from course.inside.words import Lean
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from tests.course.conftest import named
from tests.course.test_inside_experts import routed

pytestmark = pytest.mark.usefixtures("drawn_cleanly")


@pytest.fixture
def seen() -> Seen:
    """3 x 4 patches of 2 x 2 pixels; the left half is of one kind, the right half of another."""
    encoded = np.zeros((3, 4, 5))
    encoded[:, :2, 0], encoded[:, 2:, 1] = 1, 1
    return Seen("tiny", np.full((6, 8, 3), 0.5), encoded, np.zeros((3, 4, 7)))


def marked(figure, gid):
    return [one for one in figure.ax.patches if one.get_gid() == gid]


def test_the_table_writes_shares_in_percent_and_names_the_highest():
    figure = inside.plots.expert_table({"digits": [0.7, 0.2, 0.1], "letters": np.array([0.3, 0.3, 0.4])})
    assert named(figure)[:6] == ["70", "20", "10", "30", "30", "40"]
    assert "Expert 0 gets 70% of “digits”. If all got the same, each would get 33.3%" in figure.caption
    signed = inside.plots.expert_table({"sums": [-0.001, 0.25, np.nan]}, what="bits lost", signed=True)
    assert named(signed)[:3] == ["0", "0.25", "·"], "nothing is minus nothing, and noise is a dot"
    assert signed.caption == "The most: 0.25 bits lost, on sums and expert 1."


def test_a_heads_row_is_the_word_that_looks_and_the_caption_names_the_last_ones_choice():
    figure = inside.plots.attention(["A", "cat", "sat"], [[1, 0, 0], [0.3, 0.7, 0], [0.2, 0.5, 0.3]])
    assert named(figure) == ["100%", "30%", "70%", "20%", "50%", "30%"], "no word looks at a later one"
    assert figure.caption.endswith("“sat” looks most at “cat”, with 50%.")


def test_a_lean_goes_to_the_right_for_the_first_word_and_is_counted():
    figure = inside.plots.leans([Lean("pilot", "he", "she", 0.75), Lean("nurse", "he", "she", 0.2)])
    assert [round(bar.get_width(), 2) for bar in figure.ax.patches] == [0.25, -0.3]
    assert figure.caption == "1 of 2 lean to “he”; pilot most, with 75%; nurse least, with 20%."


def test_every_token_stands_over_its_first_expert_in_every_layer():
    figure = inside.plots.routing(routed("ab c", [2, 3, 0, 1], layers=(0, 1)))
    tints = [matplotlib.colors.to_hex(cell.get_facecolor()) for cell in marked(figure, "expert")]
    assert tints == [expert_colours(expert)[0] for expert in (2, 2, 3, 3, 0, 0, 1, 1)]
    assert {"a", "b", "␣", "c", "layer 0", "layer 1"} <= set(named(figure)) and named(figure).count("2") == 2


def test_a_long_text_goes_on_in_the_next_line():
    figure = inside.plots.routing(routed("x" * 60, [1] * 60))
    cells = marked(figure, "expert")
    assert max(cell.get_x() + cell.get_width() for cell in cells) <= 56
    assert len(cells) == 60 and len({cell.get_y() for cell in cells}) == 3, "28 letters in a line"


def test_patches_are_numbered_as_one_reads(seen):
    figure = inside.plots.patches(seen)
    assert named(figure, "patch") == ["1", "2", "3", "4", "5", "9"]
    places = [(text.get_position()[0] // 1, text.get_position()[1] // 1) for text in figure.ax.texts[:6]]
    assert places == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2)]
    assert figure.caption.startswith("8 x 6 pixels in 3 x 4 patches of 2 x 2. These are 12 tokens for tiny")


def test_what_the_encoder_made_stands_beside_the_picture_and_the_likeness(seen):
    figure = inside.plots.seen(seen, (1, 3))
    assert [image.get_array().shape[:2] for image in figure.ax.images] == [(6, 8), (3, 4), (3, 4)]
    alike = np.asarray(figure.ax.images[2].get_array())
    assert alike[:, 2:] == pytest.approx(1) and alike[:, :2] == pytest.approx(-1)
    marks = [one for one in figure.ax.patches if one.get_linewidth() == 3]
    assert [(mark.get_x() % 1.12, mark.get_y()) for mark in marks] == [pytest.approx((0.75, 1 / 3))] * 2
    assert "the marked one, number 8, and blue ones are not. 50% of the patches are much like it" in figure.caption


def most_orange(image) -> tuple[int, int]:
    pixels = np.asarray(image.get_array())
    row, column = np.argwhere((orange := pixels[:, :, 0] - pixels[:, :, 2]) == orange.max()).mean(0)
    return int(row * 2 // len(pixels)), int(column * 2 // pixels.shape[1])


def test_the_picture_is_orange_where_each_part_looked_on_one_scale_for_the_answer():
    """Two pictures, three tokens; each looks at one patch with a half of its attention, layer 1 at another one too."""
    weights = np.zeros((3, 2, 1, 2, 2, 2))
    for token, (row, column) in enumerate([(0, 0), (0, 1), (1, 0)]):
        weights[token, 0, :, 0, row, column] = 0.5
        weights[token, 1, :, 0, 1, 1] = 0.25
        weights[token, 1, :, 0, row, column] = 0.25
    weights[2] /= 4
    picture = as_picture(drawn.text(["HELLO"]).pictures[0])
    gaze = Gaze("tiny", (picture, picture), ("Bo", " 80", " =>"), weights)
    figure = inside.plots.gaze(gaze, ["Bo", " 80", "=>"])
    images = figure.ax.images
    assert [most_orange(image) for image in images] == [(0, 0), (0, 1), (1, 0)]
    assert named(figure) == ["before Bo", "before 80", "before =>"]
    assert named(figure, "share")[1] == "50% picture, 50% text"
    alone = inside.plots.gaze(gaze, ["=>"]).ax.images[0].get_array()
    assert np.array_equal(alone, images[2].get_array()), "a patch has the same colour in each figure"
    unseen = inside.plots.gaze(gaze, ["Bo"], picture=1).ax.images[0].get_array()
    assert np.ptp(unseen, axis=-1).max() < 1e-6, "nobody looked at it: it stays grey"
    with pytest.raises(BadRequest, match="'Cy' isn't in the answer 'Bo 80 =>'"):
        inside.plots.gaze(gaze, ["Cy"])


def test_calibration_puts_answers_in_bins_and_says_how_sure_and_how_right_each_model_is():
    rows = {"loud": [(1.0, False), (0.9, True)], "fair": [(0.5, True), (0.55, False), (0.1, False)]}
    figure = inside.plots.calibration(rows)
    assert named(figure) == ["2", "1", "2"], "a number says how many answers stand behind a point"
    for told in ("loud is 95% sure on average and right in 50%", "fair is 38% sure on average and right in 33%"):
        assert told in figure.caption

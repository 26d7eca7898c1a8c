"""teaching/expert_plots: the numbers and the structure of the plots of experts; how they look is for eyes."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")


from course.inside import plots as inside_plots
from slmlab import plots
from slmlab.catalog import card
from slmlab.errors import BadRequest

pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def marked(ax, gid):
    return [one for one in ax.patches if one.get_gid() == gid]


def test_a_layers_boxes_are_as_wide_as_their_parameters():
    moe = card("phi-3.5-moe")
    ax = inside_plots.layers([card("phi-3.5-mini"), moe])
    boxes = marked(ax, "expert")
    assert [box.get_width() for box in boxes] == [75_497_472] + [moe.architecture.expert_parameters] * 16
    hollow = [box for box in boxes if box.get_facecolor() == (1, 1, 1, 1)]
    assert len(hollow) == 14, "two of sixteen work on a token, and a dense layer has none that waits"
    assert "16 feed-forward blocks" in plots.caption(ax) and "15% of the layer" in plots.caption(ax)


def test_a_model_without_a_known_shape_is_refused():
    with pytest.raises(BadRequest, match="gpt-4"):
        inside_plots.layers([card("gpt-4")])


def test_the_table_writes_shares_in_percent_and_names_the_highest():
    ax = inside_plots.expert_table({"digits": [0.7, 0.2, 0.1], "letters": np.array([0.3, 0.3, 0.4])})
    assert [text.get_text() for text in ax.texts][:6] == ["70", "20", "10", "30", "30", "40"]
    assert "expert 0 gets 70% of “digits”; spread evenly, each would get 33.3%" in plots.caption(ax)


def test_tables_of_one_scale_can_be_compared():
    def darkness(ax):
        return [sum(cell.get_facecolor()[:3]) for cell in marked(ax, "cell")]

    faint, strong = (inside_plots.expert_table({"a": [share]}, darkest=0.5) for share in (0.1, 0.5))
    alone = inside_plots.expert_table({"a": [0.1]})
    assert darkness(faint) > darkness(strong) == darkness(alone)


def test_signed_figures_are_written_as_they_are_and_nothing_is_minus_nothing():
    ax = inside_plots.expert_table({"sums": [-0.001, 0.25, -0.02]}, what="bits lost", signed=True)
    assert [text.get_text() for text in ax.texts][:3] == ["0", "0.25", "-0.02"]
    assert plots.caption(ax) == "The most: 0.25 bits lost, on sums and expert 1."


def test_loads_are_sorted_and_the_even_share_is_a_line():
    ax = inside_plots.loads({"without": [0.1, 0.7, 0.1, 0.1], "with": [0.25] * 4})
    heights = [-bar.get_height() for bar in marked(ax, "expert")]
    assert heights[:4] == sorted(heights[:4], reverse=True) and len(set(np.round(heights[4:], 6))) == 1
    assert "without: the busiest of 4 gets 70%" in plots.caption(ax) and "25.0%" in plots.caption(ax)


def test_what_experts_follow_is_a_bar_for_each_layer_and_name():
    ax = inside_plots.following({"topic": [0.1, 0.2], "kind": [0.5, 0.3], "shuffled": [0.0, 0.01]})
    assert sorted(round(bar.get_width(), 2) for bar in ax.patches) == [0.0, 0.01, 0.1, 0.2, 0.3, 0.5]
    assert "kind in layer 0, 50%" in plots.caption(ax)


def test_layers_may_have_other_numbers_than_from_0_on():
    ax = inside_plots.following({"kind": [0.5, 0.3]}, layers=[1, 3])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["layer 1", "layer 3"]
    assert "in layer 1" in plots.caption(ax)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: inside_plots.layers([]),
        lambda: inside_plots.expert_table({}),
        lambda: inside_plots.expert_table({"a": [0.1], "b": [0.1, 0.2]}),
        lambda: inside_plots.expert_table({"a": [float("nan")]}),
        lambda: inside_plots.loads({}),
        lambda: inside_plots.loads({"a": []}),
        lambda: inside_plots.loads({"a": [-1, 2]}),
        lambda: inside_plots.loads({"a": [0, 0]}),
        lambda: inside_plots.loads({"a": ["x"]}),
        lambda: inside_plots.expert_table({"a": []}),
        lambda: inside_plots.following({"a": []}),
        lambda: inside_plots.following({"a": [0.1]}, layers=[1, 2]),
        lambda: inside_plots.following({"a": [0.1], "b": []}),
        lambda: inside_plots.following({}),
    ],
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(BadRequest):
        draw()

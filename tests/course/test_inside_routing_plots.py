"""teaching/routing_plots: each token over its experts; how it looks is for eyes."""

import matplotlib
import pytest

matplotlib.use("agg")


from course.inside import plots as inside_plots
from course.inside.plots import expert_colours
from slmlab import plots
from slmlab.errors import BadRequest
from tests.course.test_inside_router import routed

pytestmark = pytest.mark.usefixtures("drawn_cleanly")


def marked(ax, gid):
    return [one for one in ax.patches if one.get_gid() == gid]


def test_every_token_stands_over_its_first_expert_in_every_layer():
    ax = inside_plots.routing(routed("ab c", [2, 3, 0, 1], layers=(0, 1)))
    cells = marked(ax, "expert")
    assert len(cells) == 8
    assert [matplotlib.colors.to_hex(cell.get_facecolor()) for cell in cells[::2]] == [
        expert_colours(expert)[0] for expert in (2, 3, 0, 1)
    ]
    texts = [text.get_text() for text in ax.texts]
    assert {"a", "b", "␣", "c", "layer 0", "layer 1"} <= set(texts) and texts.count("2") == 2


def test_one_layer_and_a_long_text_take_several_lines():
    ax = inside_plots.routing(routed("x" * 100, [1] * 100, layers=(0, 4)), layer=4)
    assert len(marked(ax, "expert")) == 100 and "In layer 4, 1 of 4 experts" in plots.caption(ax)
    assert max(cell.get_x() + cell.get_width() for cell in marked(ax, "expert")) <= 56


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(BadRequest, match="no experts in layer 9"):
        inside_plots.routing(routed("a", [0]), layer=9)


def test_sixteen_experts_have_sixteen_colours_that_can_be_read():
    colours = [expert_colours(expert) for expert in range(16)]
    assert len({tint for tint, _ in colours}) == 16 and expert_colours(16) == expert_colours(0)
    for tint, ink in colours:
        light, dark = sorted((brightness(tint), brightness(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.5, f"{ink} on {tint} is hard to read"


def brightness(colour: str) -> float:
    """As the accessibility guidelines define it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_text_too_long_for_a_page_is_cut_and_says_so():
    ax = inside_plots.routing(routed("x" * 3000, [1] * 3000, layers=tuple(range(32))))
    assert ax.figure.get_size_inches()[1] < 20
    drawn = len(marked(ax, "expert")) // 32
    assert f"({3000 - drawn:,} more tokens are not drawn.)" in plots.caption(ax)

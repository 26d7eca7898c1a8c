"""What the box shows, live and as text, and what it does with a text that is refused."""

import pytest

from course import widgets
from course.inside import untrained
from course.inside.plots import expert_colours
from tests.course.conftest import enter


@pytest.fixture
def box(tiny_mixture):
    return widgets.routing_box(tiny_mixture, untrained(tiny_mixture, 1), text="a <b>")


def test_it_shows_each_model_with_every_token_and_its_experts(box):
    assert box.view.value.count("min-width") == 2 * 5, "two models, five letters"
    assert "untrained" in box.view.value and "&lt;" in box.view.value and "<b>\n" not in box.view.value
    for expert in box.routings[0].first(0):
        assert expert_colours(expert)[0] in box.view.value


def test_enter_routes_the_new_text_and_one_that_is_refused_leaves_what_is_shown(box):
    enter(box.text, "xyz")
    assert [[piece.text for piece in one.pieces] for one in box.routings] == [list("xyz")] * 2
    assert box.view.value.count("min-width") == 2 * 3
    before = box.view.value
    for text, says in (("", "empty"), ("x" * 300, "256")):
        enter(box.text, text)
        assert box.view.value == before and says in box.status.value
    enter(box.text, "ok")
    assert "2 tokens" in box.status.value


def test_a_layer_of_ones_own_choice(box):
    everything = box.view.value.count("line-height: 19px")
    box.layer.value = 1
    assert box.view.value.count("line-height: 19px") == everything / 2
    assert "layer 1" in box.status.value and "layer 0" not in box.status.value


def test_it_reads_as_text_on_a_page_that_runs_nothing(box):
    assert "Run the notebook" in box.static_html() and "min-width" in box.static_html()
    assert "layer 0" in box.static_text() and "untrained" in box.static_text()

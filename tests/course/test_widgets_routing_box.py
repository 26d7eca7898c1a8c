"""teaching/routing_widget: what the box shows, live and as text, and what it does with a text that is refused."""

import pytest

from course import inside, widgets
from course.inside.plots import expert_colours
from slmlab.errors import BadRequest


@pytest.fixture
def box(tiny_mixture):
    shown = widgets.routing_box(tiny_mixture, inside.untrained(tiny_mixture, 1), text="a <b>")
    yield shown
    shown.close()


def press_enter(box, text):
    box.text.value = text
    for callback in box.text._msg_callbacks.callbacks:
        callback(box.text, {"event": "submit"}, [])


def test_it_shows_each_model_with_every_token_and_its_experts(box):
    assert box.view.value.count("min-width") == 2 * 5, "two models, five letters"
    assert "untrained" in box.view.value and "&lt;" in box.view.value and "<b>\n" not in box.view.value
    for expert in box.routings[0].first(0):
        assert expert_colours(expert)[0] in box.view.value


def test_enter_routes_the_new_text(box):
    press_enter(box, "xyz")
    assert [one.text for one in box.routings] == ["xyz", "xyz"] and box.view.value.count("min-width") == 2 * 3


def test_a_layer_of_ones_own_choice(box):
    everything = box.view.value.count("line-height: 19px")
    box.layer.value = 1
    assert box.view.value.count("line-height: 19px") == everything / 2
    assert "layer 1" in box.remark.value and "layer 0" not in box.remark.value


@pytest.mark.parametrize(("text", "says"), [("", "empty"), ("x" * 300, "256")])
def test_a_text_that_is_refused_leaves_what_is_shown(box, text, says):
    before = box.view.value
    press_enter(box, text)
    assert box.view.value == before and says in box.remark.value
    press_enter(box, "ok")
    assert "2 tokens" in box.remark.value


def test_it_reads_as_text_on_a_page_that_runs_nothing(box):
    assert "Run the notebook" in box.static_html() and "min-width" in box.static_html()
    assert "layer 0" in box.static_text() and "untrained" in box.static_text()


def test_a_model_without_experts_is_refused_at_once(tiny_transformers):
    with pytest.raises(BadRequest, match="no mixture of experts"):
        widgets.routing_box(tiny_transformers, text="a")
    with pytest.raises(BadRequest, match="nothing to draw"):
        widgets.routing_box(text="a")


def test_models_with_experts_in_other_layers_do_not_share_a_box(tiny_mixture, tmp_path):
    from slmlab.catalog import card_of_folder
    from slmlab.engines.transformers import TransformersEngine
    from tests.conftest import write_tiny_model

    folder = write_tiny_model(tmp_path / "m", "deepseek_v3")
    with pytest.raises(BadRequest, match="a box of its own"):
        widgets.routing_box(tiny_mixture, TransformersEngine(card_of_folder(folder), folder), text="a")


def test_a_very_long_text_is_shown_in_part(tiny_mixture, monkeypatch):
    monkeypatch.setattr("course.widgets.routing_box._MOST", 10)
    shown = widgets.routing_box(tiny_mixture, text="x" * 25)
    assert shown.view.value.count("min-width") == 10 and "… 15 more" in shown.view.value
    shown.close()

"""The live controls, driven by code as by a reader: sliders set, buttons clicked, text read without a kernel."""

import threading

import numpy as np
import pytest

from course.widgets import ask_box, sampling_playground, side_by_side
from slmlab.errors import BadRequest
from slmlab.records import Sampling, TokenProbability
from slmlab.sampling import filter_probabilities
from tests.course.conftest import enter
from tests.live_server import ScriptedEngine, until

WORD = "<script>é"


class TinyModel:
    """A vocabulary of six tokens whose logits depend on the text."""

    vocabulary = (" Paris", " the", "\n", "<b>", " 你", " cats")

    def __init__(self):
        self.asked = []

    def logits(self, text):
        return np.array([4.0, 2.0, 1.0, 0.5, 0.0, -1.0]) if "France" in text else np.arange(6.0)

    def next_token_probabilities(self, text, top=10, sampling=None):
        self.asked.append(text)
        if not text.strip():
            raise BadRequest("The text is empty.")
        shares = np.exp(self.logits(text)) / np.exp(self.logits(text)).sum()
        return [TokenProbability(int(i), self.vocabulary[i], float(shares[i])) for i in np.argsort(-shares)[:top]]


@pytest.fixture
def playground():
    return sampling_playground(TinyModel(), "The capital of France is")


@pytest.fixture
def box():
    made = ask_box(ScriptedEngine(*[WORD] * 3), "Why?", max_tokens=9)
    yield made
    made.stop()


def both(control):
    bundle = control._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == control.box.model_id
    return bundle["text/html"], bundle["text/plain"]


def test_a_slider_gives_what_the_sampler_would_draw_from_and_asks_the_model_nothing(playground):
    assert playground.probabilities() == pytest.approx([token.probability for token in playground.tokens])
    playground.temperature.value, playground.top_p.value, playground.top_k.value = 0.7, 0.9, 3
    wanted = filter_probabilities(playground._model.logits("France"), Sampling(temperature=0.7, top_p=0.9, top_k=3))
    assert playground.probabilities() == pytest.approx(wanted)
    assert playground._model.asked == ["The capital of France is"], "once, when it was made"


def test_the_bars_say_which_tokens_are_cut(playground):
    playground.top_k.value = 2
    assert playground.bars.value.count("<b>cut</b>") == 4 and "2 tokens can be drawn" in playground.status.value
    assert "␣Paris" in playground.bars.value and "&lt;b&gt;" in playground.bars.value, "a token's text is no markup"
    playground.temperature.value = 0.0
    assert "One token is left" in playground.status.value and playground.bars.value.count("<b>cut</b>") == 5


def test_tokens_are_drawn_and_counted_until_the_settings_change(playground):
    playground.top_k.value = 1
    playground.draw_button.click()
    assert playground.drawn.tolist() == [10, 0, 0, 0, 0, 0] and "drawn 10" in playground.bars.value
    playground.reset_button.click()
    assert playground.top_k.value == 0 and "drawn" not in playground.bars.value
    assert playground.bars.value.count(f"width: {playground.tokens[0].probability:.2%}") == 2, "one axis, 0 to 100%"


def test_enter_asks_the_model_about_the_new_text(playground):
    playground.text.value = "I have two"
    assert len(playground._model.asked) == 1, "typing alone asks nothing"
    enter(playground.text, "I have two")
    assert playground._model.asked[-1] == "I have two" and "␣cats" in playground.status.value
    before = playground.bars.value
    enter(playground.text, "  ")
    assert "The text is empty." in playground.status.value and playground.bars.value == before, "a refused text"


def test_the_playground_reads_as_a_table_of_examples(playground):
    html, text = both(playground)
    assert html.count("<tr>") == 7 and "█" in html and "temperature 0.5" in html and "style" not in html
    assert "<code>␣Paris</code>" in html and "&lt;b&gt;" in html and "␣Paris" in text and "top-p 0.8" in text
    playground.temperature.value = 0.3
    assert both(playground) == (html, text), "and is the same wherever the sliders stand"


def test_an_answer_streams_into_the_box_with_its_cost(box):
    box.ask_button.click()
    until(lambda: not box.running)
    assert box.answer.value.count("&lt;script&gt;é") == 3 and "<script>" not in box.answer.value
    assert "3 tokens, first after" in box.status.value and box._model.asked == ["Why?"]
    assert box.stop_button.disabled and not box.ask_button.disabled


def test_asking_returns_at_once_and_stop_ends_the_answer(box):
    model, model.step = box._model, threading.Semaphore(0)
    enter(box.question, "Why?")
    assert box.running and box.ask_button.disabled and not box.stop_button.disabled
    box.ask_button.click()  # does nothing: one answer at a time
    model.step.release()
    until(lambda: "script" in box.answer.value)
    box.stop_button.click()
    model.step.release()
    until(lambda: not box.running)
    assert not box.running and "Stopped." in box.status.value and model.left == 1, "what the engine held is free"
    model.step = None
    box.ask()
    until(lambda: not box.running)
    assert model.asked == ["Why?"] * 2 and "3 tokens" in box.status.value and "Stopped" not in box.status.value


def test_what_goes_wrong_is_said_kindly_and_the_box_stays_usable(box):
    for change, words in (
        ({"words": [WORD] * 20}, "Cut at the length you allowed. 9 tokens"),
        ({"words": [WORD], "fault": RuntimeError("out of memory")}, "broke off with RuntimeError: out of memory"),
        ({"context": 2}, "has 4 tokens and smollm2-135m holds 2"),
    ):
        vars(box._model).update(change)
        box.ask()
        until(lambda: not box.running)
        assert words in box.status.value and not box.ask_button.disabled and box.stop_button.disabled, words


def test_the_box_reads_as_a_sentence_and_starts_nothing_by_itself(box):
    html, text = both(box)
    assert "ask smollm2-135m in" in text and html == f"<p>{text}</p>" and box._model.asked == []


def test_two_models_answer_side_by_side_and_one_that_refuses_leaves_the_other():
    left, right = ScriptedEngine(*[WORD] * 9), ScriptedEngine(*[WORD] * 9)
    left.name, right.name = "left", "right"
    control = side_by_side([left, right], "Why?", max_tokens=3)
    html, text = both(control)
    assert text.startswith("Why?\n\nleft int8: <script>é") and "tokens per second" in text
    assert html.count("&lt;script") == 6 and left.asked == right.asked == ["Why?"], "three tokens each"
    left.ask = lambda *_, **__: 1 / 0
    control.prompt.value = "again"
    control.button.click()
    assert "left int8: division by zero" in control.static_text() and "right int8: <script>é" in control.static_text()

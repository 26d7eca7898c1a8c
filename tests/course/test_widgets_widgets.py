"""The live controls, driven by code as by a reader: sliders set, buttons clicked, text read without a kernel."""

import threading
import time

import numpy as np
import pytest

from course import record as progress
from course.widgets import ask_box, live, quiz, sampling_playground
from slmlab.errors import BadRequest, UnknownName
from slmlab.records import End, Reply, Sampling, Start, Token, TokenProbability
from slmlab.sampling import filter_probabilities

LIVE = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "progress.json"))


class TinyModel:
    """A vocabulary of six tokens whose logits depend on the text, and answers that come token by token when let."""

    name = "tiny"
    vocabulary = (" Paris", " the", "\n", "<b>", " 你", " cats")

    def __init__(self):
        self.asked = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.closed = False

    def logits(self, text):
        return np.array([4.0, 2.0, 1.0, 0.5, 0.0, -1.0]) if "France" in text else np.arange(6.0)

    def next_token_probabilities(self, text, top=10, sampling=None):
        self.asked.append(text)
        if not text.strip():
            raise BadRequest("The text is empty.")
        shares = np.exp(self.logits(text)) / np.exp(self.logits(text)).sum()
        return [TokenProbability(int(i), self.vocabulary[i], float(shares[i])) for i in np.argsort(-shares)[:top]]

    def ask(self, question, **sampling):
        self.asked.append((question, sampling))
        if question == "too long":
            raise BadRequest("The prompt has 9 tokens, and this model takes 8.")

        def events():
            try:
                yield Start(time.perf_counter(), 4)
                for number in range(5000 if question == "go on" else 3):
                    time.sleep(0.001)
                    self.may_go_on.wait(5)
                    if question == "break" and number == 1:
                        raise RuntimeError("out of memory")
                    yield Token(number, "<script>é", time.perf_counter())
                yield End(time.perf_counter(), "length" if question == "long" else "end")
            finally:
                self.closed = True

        return Reply(events, self.name)


@pytest.fixture
def playground():
    return sampling_playground(TinyModel(), "The capital of France is")


@pytest.fixture
def box():
    made = ask_box(TinyModel(), "Why?")
    yield made
    made.close()


def both(control):
    bundle = control._repr_mimebundle_()
    assert bundle[LIVE]["model_id"] == control.box.model_id
    return bundle["text/html"], bundle["text/plain"]


def press_enter(text_box):
    text_box._handle_custom_msg({"event": "submit"}, [])


def until(condition):
    end = time.perf_counter() + 5
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.002)


def test_importing_the_widgets_imports_no_ipywidgets():
    import subprocess
    import sys

    code = "import sys, course.widgets; sys.exit(bool({'ipywidgets', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_ipywidgets_the_line_that_installs_it_is_said(monkeypatch):
    import sys

    from slmlab.errors import NotHere

    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(NotHere, match="pip install ipywidgets"):
        live.ipywidgets()


def test_a_quiz_scores_explains_and_keeps_the_best():
    control = quiz("start")
    questions = control.quiz.questions
    control.choose(0, questions[0].answer)
    control.choose(1, (questions[1].answer + 1) % 4)
    control.button.click()
    assert "Score: 1 of 3. Best so far: 1 of 3." in control.result.value and 'role="status"' in control.result.value
    first, second, third = (remark.value for remark in control.remarks)
    assert "✓" in first and "Set-up fetched the weights" in first
    assert "isn&#x27;t it: B is" in second and "Not answered yet" in third
    for number, one in enumerate(questions):
        control.choose(number, one.answer)
    assert control.check() == 3
    control.choose(0, None)
    assert control.check() == 2 and "Score: 2 of 3. Best so far: 3 of 3." in control.result.value
    assert progress.read()[0]["quizzes"]["start"] == {"best": 3, "of": 3}


def test_a_quiz_begins_with_nothing_chosen_and_reveals_nothing():
    control = quiz("onnx")
    assert [choice.index for choice in control.choices] == [None] * 5
    assert not any(remark.value for remark in control.remarks) and control.result.value == ""


def test_a_quiz_whose_score_cannot_be_kept_still_scores(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "file" / "progress.json"))
    control = quiz("start")
    assert control.check() == 0 and "Progress was not saved" in control.result.value


def test_a_quiz_reads_as_text_with_its_answers_folded_away():
    html, text = both(quiz("start"))
    assert html.count("<li>") == 3 * 4 + 3 + 3 and html.index("<details>") > html.index("Drawing the text")
    assert "style" not in html, "it reads well where styles are stripped"
    assert "1. The bundled model answered." in text and "   C. Nothing: the weights" in text
    assert text.endswith("Answers: 1 C · 2 B · 3 A") and repr(quiz("start")) == text


def test_an_unknown_quiz_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Available: start"):
        quiz("strat")


def test_moving_a_slider_gives_what_the_sampler_would_draw_from_and_asks_the_model_nothing(playground):
    playground.temperature.value, playground.top_p.value, playground.top_k.value = 0.7, 0.9, 3
    wanted = filter_probabilities(playground._model.logits("France"), Sampling(temperature=0.7, top_p=0.9, top_k=3))
    assert playground.probabilities() == pytest.approx(wanted)
    assert playground._model.asked == ["The capital of France is"], "once, when it was made"


def test_the_untouched_playground_shows_the_models_own_probabilities(playground):
    assert playground.probabilities() == pytest.approx([token.probability for token in playground.tokens])


def test_temperature_zero_leaves_one_token_and_says_so(playground):
    playground.temperature.value = 0.0
    assert playground.probabilities().tolist() == [1, 0, 0, 0, 0, 0]
    assert "One token is left" in playground.remark.value and playground.bars.value.count("<b>cut</b>") == 5


def test_top_k_cuts_and_the_bars_say_which(playground):
    playground.top_k.value = 2
    assert playground.bars.value.count("<b>cut</b>") == 4 and "2 tokens can be drawn" in playground.remark.value
    assert "␣Paris" in playground.bars.value and "⏎" in playground.bars.value
    assert "&lt;b&gt;" in playground.bars.value, "a token's text is no markup"


def test_every_position_of_the_sliders_can_be_drawn(playground):
    for temperature in (0.0, 0.05, 2.0):
        for top_p in (playground.top_p.min, 1.0):
            for top_k in (0, 1, playground.top_k.max):
                playground.temperature.value, playground.top_p.value, playground.top_k.value = temperature, top_p, top_k
                assert playground.probabilities().sum() == pytest.approx(1)


def test_enter_asks_the_model_about_the_new_text(playground):
    playground.text.value = "I have two"
    assert len(playground._model.asked) == 1, "typing alone asks nothing"
    press_enter(playground.text)
    assert playground._model.asked[-1] == "I have two" and playground.tokens[0].text == " cats"
    assert "␣cats" in playground.remark.value


def test_a_text_that_the_model_refuses_is_said_and_the_bars_stay(playground):
    before = playground.bars.value
    playground.text.value = "  "
    press_enter(playground.text)
    assert "The text is empty." in playground.remark.value and playground.bars.value == before
    with pytest.raises(BadRequest):
        sampling_playground(TinyModel(), "")


def test_the_playground_reads_as_a_table_of_examples(playground):
    html, text = both(playground)
    assert html.count("<tr>") == 7 and "█" in html and "temperature 0.5" in html and "style" not in html
    assert "<code>␣Paris</code>" in html and "&lt;b&gt;" in html and "␣Paris" in text and "top-p 0.8" in text
    assert both(sampling_playground(TinyModel(), "The capital of France is")) == (html, text), (
        "and is the same each time"
    )


def test_an_answer_streams_into_the_box_with_its_cost(box):
    box.ask_button.click()
    box.wait(5)
    assert box.answer.value.count("&lt;script&gt;é") == 3 and "<script>" not in box.answer.value
    assert "3 tokens, first after" in box.status.value
    assert box.stop_button.disabled and not box.ask_button.disabled


def test_asking_returns_at_once_and_stop_ends_the_answer(box):
    model = box._model
    model.may_go_on.clear()
    box.question.value = "go on"
    press_enter(box.question)
    assert box.running and box.ask_button.disabled and not box.stop_button.disabled
    box.ask_button.click()
    assert len(model.asked) == 1, "one answer at a time"
    model.may_go_on.set()
    until(lambda: "script" in box.answer.value)
    box.stop_button.click()
    box.wait(5)
    assert not box.running and "Stopped." in box.status.value and model.closed, "what the engine held is free"
    assert box.stop_button.disabled and not box.ask_button.disabled


def test_the_box_can_be_asked_again_after_a_stop(box):
    box.question.value = "go on"
    box.ask()
    box.stop()
    box.wait(5)
    box.question.value = "Why?"
    box.ask()
    box.wait(5)
    assert "3 tokens" in box.status.value and "Stopped" not in box.status.value


@pytest.mark.parametrize(
    ("question", "words"),
    [("too long", "9 tokens, and this model takes 8"), ("break", "broke off with RuntimeError: out of memory"),
     ("  ", "Write a question first"), ("long", "Cut at the length you allowed. 3 tokens")],
)  # fmt: skip
def test_what_goes_wrong_is_said_kindly_and_the_box_stays_usable(box, question, words):
    box.question.value = question
    box.ask()
    box.wait(5)
    assert words in box.status.value and not box.ask_button.disabled and box.stop_button.disabled


def test_closing_the_box_stops_the_answer_and_leaves_no_thread():
    before = threading.active_count()
    control = ask_box(TinyModel(), "go on")
    control.ask()
    until(lambda: "script" in control.answer.value)
    control.close()
    assert control._model.closed and threading.active_count() == before


def test_the_box_hands_its_sampling_to_the_model():
    control = ask_box(TinyModel(), "Why?", temperature=0.5, max_tokens=9)
    control.ask()
    control.wait(5)
    assert control._model.asked == [("Why?", {"temperature": 0.5, "max_tokens": 9})]


def test_the_box_reads_as_a_sentence_and_starts_nothing_by_itself(box):
    html, text = both(box)
    assert "ask tiny in" in text and html == f"<p>{text}</p>" and box._model.asked == []

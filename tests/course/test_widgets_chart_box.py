"""A chart that follows its sliders, and a model that is marked by what was drawn."""

import pytest
from PIL import Image

from course import widgets
from course.drawn.canvas import SIDE
from course.drawn.pictures import Row
from slmlab.errors import BadRequest

ROWS = [Row("Ann", 40, "red"), Row("Bo", 80, "green")]


class Knows:
    """A model that knows the scene of its box: it answers from it, or what it is told to say."""

    box = None
    says: str | Exception | None = None

    def __init__(self):
        self.asked: list[tuple] = []

    def ask(self, question, images):
        self.asked.append((question, images))
        self.seen = self.box and self.box.status.value
        if isinstance(self.says, Exception):
            raise self.says
        known = [one for one in self.box.scene.questions if one.text == question] if self.box else []
        self.text = self.says or (f"{self.box.scene.reading} => {known[0].reply}" if known else "=> who knows")
        return self


@pytest.fixture
def model():
    return Knows()


@pytest.fixture
def box(model):
    shown = widgets.chart_box(model, ROWS)
    model.box = shown
    shown.ask()
    return shown


def test_it_asks_at_once_and_shows_reading_truth_and_mark(box, model):
    question, images = model.asked[-1]
    assert question == box.question.value == "What is the value of Ann?"
    assert [type(image) is Image.Image and image.size for image in images] == [(SIDE, SIDE)]
    for what in ("It reads: Ann red 40, Bo green 80", "Drawn:    Ann red 40, Bo green 80", "It answers: 40", "✓ right"):
        assert what in box.status.value


def test_the_controls_change_the_picture_and_the_truth(box, model):
    before, picture = box.scene.pictures[0].tobytes(), box.picture.value
    box.sliders[0].value = 7
    assert box.scene.reading == "Ann red 7, Bo green 80" and "It answers: 7" in box.status.value
    assert "is looking at this picture" in model.seen and "It answers" not in model.seen, "no old answer beside it"
    assert model.asked[-1][1][0].tobytes() == box.scene.pictures[0].tobytes() != before
    assert box.picture.value != picture and 'alt="A bar chart: Ann red 7, Bo green 80"' in box.picture.value
    box.colours[1].value, box.question.value = "pink", "What colour is Bo?"
    assert box.scene.reading == "Ann red 7, Bo pink 80" and "It answers: pink" in box.status.value
    box.printed.value = False
    assert box.scene.kind == "heights", "without printed values there is an axis"


def test_a_question_is_known_in_all_its_wordings_and_others_are_not_marked(box, model):
    model.says = "80"
    for wording in ("How much is Bo", "how much is bo?", " How much is Bo? ", "Which number belongs to Bo?"):
        box.question.value = wording
        assert "✓ right" in box.status.value and "It reads: (nothing)" in box.status.value
    for question in ("Is this a nice chart?", "What is the value of ?", ""):
        box.question.value = question
        assert "Nobody marks this" in box.status.value and "✓" not in box.status.value and "✗" not in box.status.value


def test_of_a_bar_that_is_not_there_that_is_the_right_answer(box, model):
    for question in ("What is the value of Cy?", "how much is cy", "What colour is Cy?"):
        for reply, mark in (("=> not there", "✓ right"), ("=> Cy red 40 => 40", "✗ it is not there")):
            model.says, box.question.value = reply, question
            box.ask()
            assert mark in box.status.value


def test_every_question_on_offer_is_one_of_the_chart_and_is_marked(box):
    taught = [question.text for question in box.scene.questions]
    assert list(box.known.options)[1:] == taught and box.known.value == "a question that it was trained on"
    for text in taught:
        box.known.value = text
        assert box.question.value == text and "✓ right" in box.status.value


def test_a_model_that_refuses_is_heard_and_the_chart_moves_on(box, model):
    model.says = BadRequest("The picture & the question are too long.")
    box.sliders[0].value = 55
    for shown in (box.status.value, box.static_html()):
        assert "The picture &amp; the question are too long." in shown and "It answers" not in shown
    assert "Ann red 55" in box.picture.value and "too long" in box.static_text()


def test_it_reads_as_text_on_a_page_that_runs_nothing(box, model):
    html, text = box.static_html(), box.static_text()
    assert "Run the notebook to move the sliders" in html and html.count("data:image/png;base64,") == 1
    for shown in (html, text):
        assert "What is the value of Ann?" in shown and "It answers: 40" in shown and "✓ right" in shown
    marked = widgets.chart_box(model, [Row('<b>"', 3), Row("B", 4)]).static_html()
    assert "<b>" not in marked and "&lt;b&gt;" in marked, "what is written on a chart is no HTML"

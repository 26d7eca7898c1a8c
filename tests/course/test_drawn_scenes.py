"""teaching/scenes: what a picture says and what can be asked of it, from what it was drawn from."""

import re
from string import Formatter

import pytest

from course.drawn import scenes
from course.drawn.canvas import SIDE, Style
from course.drawn.charts import Row
from course.drawn.papers import Shape
from course.drawn.questions import WORDINGS, Question, answer_of, found_of, reading_of
from slmlab.errors import SlmLabError

ROWS = [Row("Ann", 40, "red"), Row("Bo", 80, "green"), Row("Cy", 20, "red")]
LATER = [Row("Ann", 41, "red"), Row("Bo", 8, "green"), Row("Cy", 99, "red")]
SHAPES = [Shape("square", "blue", 8), Shape("circle", "red", 0), Shape("circle", "blue", 4)]

MADE = {
    "bars": scenes.bars(ROWS),
    "heights": scenes.bars(ROWS, printed=False),
    "line": scenes.line(ROWS),
    "curve": scenes.line(sorted(ROWS, key=lambda row: row.value), printed=False),
    "pie": scenes.pie(ROWS),
    "wedges": scenes.pie(ROWS, printed=""),
    "receipt": scenes.receipt([("Milk", 120), ("Tea", 85), ("Rice", 1005)]),
    "table": scenes.table(("Name", "Age"), [("Ann", 31), ("Bo", 7)]),
    "text": scenes.text(["OPEN", "9 to 5"]),
    "shapes": scenes.shapes(SHAPES),
    "pair": scenes.pair(ROWS, LATER),
    "counter": scenes.counter([3, 17, 40]),
    "moving": scenes.moving(Shape("circle", "pink", 0), [8, 5, 2]),
}
each_kind = pytest.mark.parametrize("kind", MADE)

READINGS = {
    "bars": "Ann red 40, Bo green 80, Cy red 20",
    "heights": "Ann red 40, Bo green 80, Cy red 20",
    "line": "Ann 40, Bo 80, Cy 20",
    "curve": "Cy 20, Ann 40, Bo 80",
    "pie": "Ann red 40, Bo green 80, Cy red 20",
    "wedges": "Ann red 40, Bo green 80, Cy red 20",
    "receipt": "Milk 1.20, Tea 0.85, Rice 10.05, TOTAL 12.10",
    "table": "Name Age: Ann 31, Bo 7",
    "text": "",
    "shapes": "red circle, blue circle, blue square",
    "pair": "1: Ann 40, Bo 80, Cy 20; 2: Ann 41, Bo 8, Cy 99",
    "counter": "3; 17; 40",
    "moving": "pink circle: bottom right; right; top right",
}

ANSWERS = """
bars: How many bars are there? 3
bars: What is the value of Cy? 20
bars: Which one is the largest? Bo
bars: Which one is the smallest? Cy
bars: Is Ann larger than Bo? no
bars: Is Bo larger than Cy? yes
bars: Is Cy larger than Ann? no
bars: What colour is Bo? green
bars: Which bar is green? Bo
line: How many points are there? 3
line: Is it rising or falling? up and down
curve: Is it rising or falling? rising
pie: Which slice is green? Bo
receipt: What is the total? 12.10
receipt: How many items are there? 3
receipt: What is the most expensive item? Rice
receipt: What is the cheapest item? Tea
receipt: What is the price of Rice? 10.05
table: How many rows are there? 2
table: Which one is the largest? Ann
table: What is the value of Bo? 7
table: Who has 31? Ann
text: What does it say? OPEN / 9 to 5
shapes: How many shapes are there? 3
shapes: How many circles are there? 2
shapes: How many triangles are there? 0
shapes: How many shapes are blue? 2
shapes: What colour is the square? blue
pair: In which picture is Ann larger? 2
pair: In which picture is Bo larger? 1
pair: What is the value of Cy in picture 1? 20
pair: What is the value of Cy in picture 2? 99
counter: Is it rising or falling? rising
counter: How many frames are there? 3
counter: What is the last number? 40
counter: What is the first number? 3
moving: Which way does it move? up
moving: What colour is it? pink
moving: Where is it at the end? top right
moving: How many frames are there? 3
""".strip().split("\n")


@each_kind
def test_a_scene_reads_as_it_was_drawn(kind):
    scene = MADE[kind]
    assert scene.kind == kind and scene.reading == READINGS[kind]
    assert {question.form.split("/")[0] for question in scene.questions} == {kind}
    assert all(picture.size == (SIDE, SIDE) for picture in scene.pictures)
    assert len(scene.pictures) == {"pair": 2, "counter": 3, "moving": 3}.get(kind, 1)


@pytest.mark.parametrize("line", ANSWERS)
def test_a_question_has_its_answer(line):
    kind, asked, answer = re.fullmatch(r"(\w+): (.*\?) (.*)", line).groups()
    assert [one.answer for one in MADE[kind].questions if one.text == asked] == [answer]


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("bars", "Which bar is red?"), ("shapes", "What colour is the circle?"), ("shapes", "How many shapes are pink?")],
)
def test_what_has_two_answers_or_none_is_not_asked(kind, asked):
    assert asked not in [question.text for question in MADE[kind].questions]


@pytest.mark.parametrize(
    ("places", "way"),
    [([0, 1, 2], "right"), ([5, 4], "left"), ([0, 3, 6], "down"), ([7, 1], "up"), ([4, 4], "nowhere")],
)
def test_a_shape_moves_where_its_places_go(places, way):
    scene = scenes.moving(Shape("square", "red", 0), places)
    assert next(one.answer for one in scene.questions if one.form == "moving/way") == way


@pytest.mark.parametrize(
    ("values", "trend"), [((9, 5, 1), "falling"), ((1, 5, 9), "rising"), ((1, 9, 5), "up and down")]
)
def test_a_line_goes_where_its_values_go(values, trend):
    scene = scenes.line([Row(label, value) for label, value in zip("ABC", values, strict=True)])
    assert next(one.answer for one in scene.questions if one.form == "line/trend") == trend


def test_every_form_can_be_asked_of_some_scene():
    assert {question.form for scene in MADE.values() for question in scene.questions} == set(WORDINGS)


@pytest.mark.parametrize("form", WORDINGS)
def test_all_wordings_of_a_form_take_the_same_values(form):
    question = next(one for scene in MADE.values() for one in scene.questions if one.form == form)
    for wording in WORDINGS[form]:
        blanks = [name for _, name, _, _ in Formatter().parse(wording) if name is not None]
        assert blanks == [""] * len(question.values), f"{wording!r} has other blanks than {question.values}"
    assert question.text == question.wordings[0] and len(set(question.wordings)) == len(WORDINGS[form]) >= 2
    for text in question.wordings:
        assert text[-1] in "?." and all(value in text for value in question.values)


@each_kind
def test_no_wording_of_a_question_is_one_of_another_answer(kind):
    answers = {}
    for question in MADE[kind].questions:
        for text in question.wordings:
            assert answers.setdefault(text, question.answer) == question.answer, text


@each_kind
def test_a_reply_comes_apart_into_reading_and_answer(kind):
    scene = MADE[kind]
    for question in scene.questions:
        reply = scene.reply_to(question)
        assert reading_of(reply) == scene.reading and answer_of(reply) == question.answer
        assert reply == (f"{scene.reading} => {question.reply}" if scene.reading else question.answer)


@each_kind
def test_what_an_answer_is_found_in_is_a_part_of_the_reading_and_tells_it(kind):
    scene = MADE[kind]
    parts = re.split(r"[,;:] | ", scene.reading)
    for question in scene.questions:
        form = question.form.split("/")[1]
        assert {*re.split(r"[,;:] |[ :]", question.found)} <= {*parts, *question.values, ""}, question
        if question.found and form not in ("compare", "larger", "trend", "way", "count form", "count colour"):
            assert question.answer in question.found, question
        if form in ("largest", "smallest", "dearest", "cheapest", "which", "who"):
            wanted, rows = question.found.split(": ")  # it goes through the rows to the one that is meant
            last = rows.split(", ")[-1]
            assert rows in scene.reading and wanted in last.split() and question.answer in last, question
        if kind != "moving" and form in (
            "value",
            "colour",
            "which",
            "price",
            "largest",
            "smallest",
            "compare",
            "larger",
            "who",
            "total",
        ):
            assert question.found and all(value in question.found for value in question.values), question


@pytest.mark.parametrize(
    ("reply", "reading", "found", "answer"),
    [
        ("A red 3 => 3", "A red 3", "", "3"),
        ("A red 3 =>  3 \n", "A red 3", "", "3"),
        ("3", "", "", "3"),
        (" yes ", "", "", "yes"),
        ("A 3 =>", "A 3", "", ""),
        ("=> 3", "", "", "3"),
        ("A, B => B => C", "A, B", "B", "C"),
        ("A => B =>  C => D", "A", "B => C", "D"),
        ("", "", "", ""),
    ],
)
def test_whatever_a_model_writes_comes_apart(reply, reading, found, answer):
    assert (reading_of(reply), found_of(reply), answer_of(reply)) == (reading, found, answer)


@pytest.mark.parametrize(
    ("scene", "gone"),
    [
        (scenes.bars([Row("A", 5), Row("B", 5), Row("C", 1)]), {("largest", ()), ("compare", ("A", "B"))}),
        (scenes.bars([Row("A", 5)]), {("compare", ("A", "A"))}),
        (scenes.line([Row("A", 5), Row("B", 5)]), {("largest", ()), ("smallest", ()), ("trend", ())}),
        (scenes.pair([Row("A", 5)], [Row("A", 5)]), {("larger", ("A",))}),
        (scenes.counter([5, 6, 5]), {("trend", ())}),
        (scenes.receipt([("A", 100), ("B", 100)]), {("dearest", ()), ("cheapest", ())}),
        (scenes.table(("A", "B"), [("A", 7), ("B", 7)]), {("largest", ()), ("who", ("7",))}),
    ],
)
def test_what_has_no_single_answer_is_not_asked(scene, gone):
    asked = [(question.form.split("/")[1], question.values) for question in scene.questions]
    assert asked and not gone & set(asked) and len(set(asked)) == len(asked)


def test_a_style_changes_the_look_and_nothing_else():
    style = Style(background=(240, 240, 255), font="DejaVuSerif")
    for plain, styled in ((MADE["bars"], scenes.bars(ROWS, style)), (MADE["pair"], scenes.pair(ROWS, LATER, style))):
        assert styled.reading == plain.reading and styled.questions == plain.questions
        assert styled.pictures[0].tobytes() != plain.pictures[0].tobytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: scenes.bars([]), "at least one Row"), (lambda: scenes.line([]), "at least one Row"),
        (lambda: scenes.pie([]), "at least one Row"), (lambda: scenes.pair([], []), "at least one Row"),
        (lambda: scenes.receipt([]), "pair of a name and its price"), (lambda: scenes.text([]), "line of text"),
        (lambda: scenes.table(("A", "B"), []), "pair of a name"), (lambda: scenes.shapes([]), "at least one Shape"),
        (lambda: scenes.counter([]), "at least one number"),
        (lambda: scenes.moving(Shape("circle", "red", 0), []), "at least one place"),
        (lambda: scenes.bars([Row("A", 3), Row("A", 4)]), "comes twice: A, A"),
        (lambda: scenes.receipt([("A", 100), ("A", 200)]), "comes twice: A, A"),
        (lambda: scenes.table(("A", "B"), [("A", 1), ("A", 2)]), "comes twice: A, A"),
        (lambda: scenes.pair([Row("A", 3)], [Row("B", 4)]), "the same labels"),
        (lambda: scenes.bars([Row("A", 101)], printed=False), "101 is above the axis"),
        (lambda: scenes.line([Row("A", 101)], printed=False), "101 is above the axis"),
        (lambda: scenes.pie([Row("A", 0)]), "nothing but zeros"),
        (lambda: Row("A", -1), "from 0 on"), (lambda: Row("A", 2.5), "whole number"), (lambda: Row("", 2), "a label"),
        (lambda: Row("A", True), "whole number"), (lambda: Row("A", 2, "teal"), "No colour 'teal'"),
        (lambda: Shape("star", "red", 0), "No shape 'star'"), (lambda: Shape("circle", "rad", 0), "red"),
        (lambda: Shape("circle", "red", 9), "No place 9"), (lambda: Shape("circle", "red", "top"), "No place 'top'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_or_asked_about_is_refused(make, words):
    with pytest.raises(SlmLabError, match=words):
        make()


def test_values_are_filled_in_as_they_are():
    assert Question("bars/value", ("{}",), "1").text == "What is the value of {}?", "a label is no template"

"""teaching/scene_draws: a seed's scene is the same for ever, and its answers follow from what it says."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from course.drawn.canvas import COLOURS, SIDE
from course.drawn.draws import DAYS, KINDS, MONTHS, Chance, draw_scene, labels, word
from course.drawn.papers import PLACES
from course.drawn.questions import ABSENT, WORDINGS
from slmlab.errors import UnknownName
from tests.course.test_drawn_canvas import inked, said

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 40
each_kind = pytest.mark.parametrize("kind", KINDS)
CHARTS = ("bars", "heights", "line", "curve", "pie", "wedges")


@cache
def drawn(kind: str, easy: bool = False) -> list:
    return [draw_scene(kind, f"held-out:{number}", easy) for number in range(SEEDS)]


def mark_of(*scenes) -> str:
    """Everything that scenes are, as one hash."""
    found = hashlib.sha256()
    for scene in scenes:
        found.update(repr((scene.kind, scene.reading, scene.questions)).encode())
        for picture in scene.pictures:
            found.update(picture.tobytes())
    return found.hexdigest()


def mark_of_seed(seed) -> str:
    return mark_of(*(draw_scene(kind, seed) for kind in KINDS))


# An answer out of the reading alone. Where two would fit, unpacking "the only one" fails.


def only(names):
    (name,) = names
    return name


def of_the_most(values: dict, sign: int = 1) -> str:
    most = max(sign * value for value in values.values())
    return only(name for name, value in values.items() if sign * value == most)


def way_of(numbers: list[int]) -> str:
    steps = {later > one for one, later in zip(numbers, numbers[1:], strict=False)}
    assert all(later != one for one, later in zip(numbers, numbers[1:], strict=False)), "neither rising nor falling"
    return {(True,): "rising", (False,): "falling"}.get(tuple(steps), "up and down")


def from_rows(reading: str, form: str, values: tuple) -> str:
    """Charts, receipts and tables: 'Ann red 40' or 'Milk 1.20', between commas."""
    rows = [row.split(" ") for row in reading.split(", ") if not row.startswith("TOTAL ")]
    shown = {row[0]: row[-1] for row in rows}
    colours = {row[0]: row[1] for row in rows}
    numbers = {name: int(text.replace(".", "")) for name, text in shown.items()}
    assert len(shown) == len(rows), "two rows have one name"
    return {
        "count": lambda: str(len(rows)),
        "value": lambda name: shown.get(name, ABSENT),
        "price": lambda name: shown.get(name, ABSENT),
        "colour": lambda name: colours.get(name, ABSENT),
        "which": lambda colour: only(name for name in colours if colours[name] == colour),
        "who": lambda number: only(name for name in shown if shown[name] == number),
        "largest": lambda: of_the_most(numbers),
        "dearest": lambda: of_the_most(numbers),
        "smallest": lambda: of_the_most(numbers, -1),
        "cheapest": lambda: of_the_most(numbers, -1),
        "compare": lambda *two: "no yes".split()[of_the_most({name: numbers[name] for name in two}) == two[0]],
        "trend": lambda: way_of(list(numbers.values())),
        "total": lambda: "{}.{:02}".format(*divmod(sum(numbers.values()), 100)),
    }[form](*values)  # fmt: skip


def from_shapes(reading: str, form: str, values: tuple) -> str:
    shapes = [shape.split(" ") for shape in reading.split(", ")]
    return {
        "count": lambda: str(len(shapes)),
        "count form": lambda form: str(sum(one == form for _, one in shapes)),
        "count colour": lambda colour: str(sum(one == colour for one, _ in shapes)),
        "colour": lambda form: only(colour for colour, one in shapes if one == form),
    }[form](*values)


def from_pair(reading: str, form: str, values: tuple) -> str:
    first, second = (dict(row.split(" ") for row in part[3:].split(", ")) for part in reading.split("; "))
    if form == "value":
        return (first, second)[int(values[1]) - 1][values[0]]
    return of_the_most({"1": int(first[values[0]]), "2": int(second[values[0]])})


def from_counter(reading: str, form: str, values: tuple) -> str:
    numbers = reading.split("; ")
    trend = way_of([int(number) for number in numbers])
    return {"trend": trend, "frames": str(len(numbers)), "last": numbers[-1], "first": numbers[0]}[form]


def from_moving(reading: str, form: str, values: tuple) -> str:
    shape, places = reading.split(": ")
    stops = [divmod(PLACES.index(place), 3) for place in places.split("; ")]
    down, across = (stops[-1][axis] - stops[0][axis] for axis in (0, 1))
    assert not (down and across), "a way that has two names"
    way = "up" if down < 0 else "down" if down else "left" if across < 0 else "right" if across else "nowhere"
    return {"way": way, "colour": shape.split(" ")[0], "last": places.split("; ")[-1], "frames": str(len(stops))}[form]


def follows(scene, question) -> str:
    form, reading = question.form.split("/")[1], scene.reading
    if scene.kind == "text":
        return " / ".join(said(scene.canvases[0]))
    if scene.kind == "table":
        reading = reading.split(": ")[1]
    rule = {"shapes": from_shapes, "pair": from_pair, "counter": from_counter, "moving": from_moving}
    return rule.get(scene.kind, from_rows)(reading, form, question.values)


@each_kind
def test_every_answer_follows_from_the_reading(kind):
    for number, scene in enumerate(drawn(kind)):
        for question in scene.questions:
            assert follows(scene, question) == question.answer, f"{number}: {scene.reading} {question.text}"


def test_a_receipts_total_is_the_sum_of_its_items():
    for scene in drawn("receipt"):
        *_, last = scene.reading.split(", ")
        assert last == f"TOTAL {from_rows(scene.reading, 'total', ())}"


@each_kind
def test_the_picture_shows_what_the_reading_says(kind):
    for number, scene in enumerate(drawn(kind)):
        shown = Counter("".join(row for canvas in scene.canvases for row in said(canvas)))
        spoken = re.findall(r"[\w.]+", scene.reading)
        words = {
            "text": [scene.questions[0].answer.replace("/", "")],
            "line": spoken, "receipt": spoken, "table": spoken, "counter": spoken,
            "curve": [*spoken[::2], "0", "50", "100"], "heights": [*spoken[::3], "0", "50", "100"],
            "bars": spoken[::3] + spoken[2::3], "wedges": spoken[::3], "pie": spoken[::3] + spoken[2::3],
            "pair": [part for picture in scene.reading.split("; ") for part in picture[3:].replace(",", "").split()],
        }.get(kind, [])  # fmt: skip
        titles = scene.canvases[0].style.title * len(scene.canvases)
        percents = "%" * (shown["%"] if kind == "pie" else 0)
        assert shown == Counter("".join([*words, titles, percents]).replace(" ", "")), f"seed {number}"


@pytest.mark.parametrize("kind", ["bars", "heights", "pie", "wedges", "shapes", "moving"])
def test_the_picture_has_the_colours_of_the_reading_and_no_others(kind):
    for number, scene in enumerate(drawn(kind)):
        named = set(re.findall(r"\w+", scene.reading)) & set(COLOURS)
        for canvas in scene.canvases:
            shown = {pixel: often for often, pixel in canvas.image.getcolors(SIDE * SIDE)}
            found = {colour for colour in COLOURS if shown.get(canvas.style.rgb(colour), 0) > 8}
            assert found == named, f"seed {number}"


@each_kind
def test_there_is_ink_around_every_glyph_and_no_glyph_is_outside(kind):
    for number, scene in enumerate(drawn(kind)):
        for canvas in scene.canvases:
            near, ink = canvas.style.size // 2 + 1, inked(canvas)
            for glyph, x, y in canvas.glyphs:
                assert 2 < x < 190 and 4 < y < 188, f"{glyph} of seed {number} is cut off"
                x, y = int(x), int(y)
                around = ink[max(0, y - near) : y + near, max(0, x - 3) : x + 4]
                assert around.any(), f"no ink at {glyph} of seed {number}"


@each_kind
def test_every_form_is_asked_and_none_always_first(kind):
    scenes = drawn(kind)
    forms = {form for form in WORDINGS if form.startswith(f"{kind}/")}
    assert {question.form for scene in scenes for question in scene.questions} == forms
    assert len({scene.questions[0].form for scene in scenes}) > 1 or len(forms) == 1


@each_kind
def test_no_question_has_two_answers_in_any_wording(kind):
    for number, scene in enumerate(drawn(kind)):
        answers = {}
        for question in scene.questions:
            for text in question.wordings:
                assert answers.setdefault(text, question.answer) == question.answer, f"{number}: {text}"


@pytest.mark.parametrize("kind", CHARTS)
def test_no_two_values_of_a_chart_are_the_same(kind):
    for scene in drawn(kind):
        values = [int(row.split(" ")[-1]) for row in scene.reading.split(", ")]
        assert len(set(values)) == len(values) >= 2
        if kind in ("pie", "wedges"):
            assert sum(values) == 100 and min(values) >= 10
        if kind in ("heights", "curve"):
            assert all(value % 5 == 0 and 5 <= value <= 100 for value in values), "what an axis can tell"


@pytest.mark.parametrize("kind", [*CHARTS, "receipt", "table"])
def test_some_ask_for_what_is_not_there_and_it_is_not(kind):
    asked = [(scene, one) for scene in drawn(kind) for one in scene.questions if one.answer == ABSENT]
    assert SEEDS / 10 < len(asked) < SEEDS / 2
    for scene, question in asked:
        assert question.form.split("/")[1] in ("value", "colour", "price")
        assert question.values[0] not in scene.reading.replace(",", "").split(" ")


@pytest.mark.parametrize("kind", ["text", "shapes", "pair", "counter", "moving"])
def test_of_the_others_nobody_asks_for_what_is_not_there(kind):
    assert ABSENT not in {question.answer for scene in drawn(kind) for question in scene.questions}


# Seeds


def test_a_seed_gives_the_same_scenes_in_every_process():
    command = [sys.executable, "-c", "from tests.course.test_drawn_draws import *; print(mark_of_seed('train:0:1:2'))"]
    worlds = [os.environ | {"PYTHONHASHSEED": seed} for seed in ("1", "2")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=world) for world in worlds]
    assert [process.communicate()[0].strip() for process in started] == [mark_of_seed("train:0:1:2")] * 2


@each_kind
def test_every_seed_gives_another_scene(kind):
    training = [draw_scene(kind, f"train:0:0:{number}") for number in range(SEEDS)]
    assert len({mark_of(scene) for scene in [*training, *drawn(kind)]}) == 2 * SEEDS, "train and held-out never meet"


def test_a_seed_may_be_any_number_or_text():
    assert mark_of_seed(7) == mark_of_seed("7") != mark_of_seed(0.5)


def test_a_kind_that_is_not_drawn_is_refused():
    with pytest.raises(UnknownName, match="'barz'.*bars"):
        draw_scene("barz", 0)


# Names


@pytest.mark.parametrize("kind", ["bars", "line", "pie", "pair", "receipt", "table"])
def test_easy_ones_have_names_of_one_letter(kind):
    for scene in drawn(kind, easy=True):
        asked = [one.values[0] for one in scene.questions if one.form.split("/")[1] in ("value", "price", "compare")]
        assert asked and all(len(name) == 1 and name.isupper() for name in asked)
        assert all(follows(scene, question) == question.answer for question in scene.questions)


def test_easy_texts_are_one_short_line():
    lengths = {len(scene.questions[0].answer) for scene in drawn("text", easy=True)}
    assert lengths == {1, 2, 3} < {len(scene.questions[0].answer) for scene in drawn("text")}


@pytest.mark.parametrize("number", [2, 4, 6])
def test_labels_differ_and_are_no_longer_than_there_is_room(number):
    for seed in range(200):
        found = labels(Chance(seed), number, 4)
        assert len(set(found)) == number and all(1 <= len(one) <= 4 and one.isalnum() for one in found)
        if set(found) <= {*MONTHS}:
            first = MONTHS.index(found[0])
            assert found == [MONTHS[(first + place) % 12] for place in range(number)], "months in their order"
        if set(found) <= {*DAYS} and len(found) > 2:
            assert found == list(DAYS[:number])


def test_made_up_words_are_letters_that_can_be_told_apart():
    words = [word(Chance(seed), 3, 8) for seed in range(300)]
    assert all(3 <= len(one) <= 8 and one.isalpha() and (one.istitle() or one.isupper()) for one in words)
    assert len(set(words)) > 290 and {len(one) for one in words} == {3, 4, 5, 6, 7, 8}

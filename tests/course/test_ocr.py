"""ocr: the real RapidOCR on pictures whose text is known, because they were drawn from it."""

import re
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from course import ocr
from course.drawn.canvas import font
from course.drawn.draws import draw as draw_scene
from course.ocr import Line, Page, ask_about_text, read_text
from slmlab.errors import BadRequest, NotHere

NOTE = Page(
    (
        Line("9.40", 60, 31, 90, 41, 0.8),  # one pixel lower than the word beside it, and found first
        Line("TOTAL", 10, 30, 50, 40, 0.9),
        Line("Milk", 10, 5, 40, 15, 1.0),
    ),
    100,
    50,
)


class Listener:
    """A model that answers with what it was asked."""

    def ask(self, question, **settings):
        return question, settings


@pytest.fixture(scope="module")
def receipt() -> Page:
    pytest.importorskip("rapidocr")
    return read_text(draw_scene("receipt", 0).pictures[0])


def paper(text: str = "") -> Image.Image:
    picture = Image.new("RGB", (192, 192), "white")
    ImageDraw.Draw(picture).text((10, 90), text, fill="black", font=font("DejaVuSans", 24), anchor="lm")
    return picture


def test_a_page_is_read_row_by_row_and_from_left_to_right():
    assert [[line.text for line in row] for row in NOTE.rows] == [["Milk"], ["TOTAL", "9.40"]]
    assert NOTE.text == str(NOTE) == "Milk\nTOTAL  9.40"
    assert [str(line) for line in NOTE] == ["Milk", "TOTAL", "9.40"] and len(NOTE) == 3


def test_each_piece_may_come_with_its_place():
    assert NOTE.with_boxes() == "(25, 10) Milk\n(30, 35) TOTAL\n(75, 36) 9.40"


def test_what_stands_lower_than_half_a_line_is_a_row_of_its_own():
    steps = Page((Line("a", 0, 0, 9, 10, 1.0), Line("b", 10, 4, 19, 14, 1.0), Line("c", 20, 8, 29, 18, 1.0)), 30, 20)
    assert [[line.text for line in row] for row in steps.rows] == [["a", "b"], ["c"]]


def test_a_page_without_text_says_so():
    empty = Page((), 30, 20)
    assert (len(empty), empty.rows, empty.text, empty.with_boxes()) == (0, [], "", "")
    assert str(empty) == "(no text was found)"


@pytest.mark.parametrize(("kind", "seed"), [("receipt", 2), ("table", 2), ("table", 9), ("text", 11)])
def test_drawn_papers_are_read_to_the_letter(kind, seed):
    """Each line the right way up: a guess about that made a 9 of the 6 in table 2, and nothing of UTI in table 9."""
    pytest.importorskip("rapidocr")
    scene = draw_scene(kind, seed)
    wanted = scene.reading or scene.questions[0].answer
    assert [line.text for line in read_text(scene.pictures[0])] == re.findall(r"[^ ,:/]+", wanted)


def test_a_receipt_is_a_row_for_each_thing(receipt):
    assert receipt.text == "Honey  0.70\nBread  3.95\nCoffee  2.30\nTOTAL  6.95"
    assert draw_scene("receipt", 0).reading == receipt.text.replace("  ", " ").replace("\n", ", ")


def test_boxes_are_inside_the_picture_and_around_what_was_drawn(receipt):
    assert (receipt.width, receipt.height) == (192, 192)
    glyphs = draw_scene("receipt", 0).canvases[0].glyphs
    for line in receipt:
        assert 0 <= line.left < line.right <= 192 and 0 <= line.top < line.bottom <= 192
        inside = [sign for sign, x, y in glyphs if line.left < x < line.right and line.top < y < line.bottom]
        assert "".join(inside) == line.text
        assert 0.5 < line.score <= 1


def test_rows_go_down_the_page(receipt):
    tops = [row[0].top for row in receipt.rows]
    assert tops == sorted(tops)
    assert all(row[0].right < row[1].left for row in receipt.rows)
    assert receipt.with_boxes().splitlines()[-1].endswith(") 6.95")


def test_a_file_and_its_pixels_read_the_same(tmp_path):
    pytest.importorskip("rapidocr")
    picture = paper("Salt 4.20")
    picture.save(tmp_path / "salt.png")
    for source in (tmp_path / "salt.png", [np.asarray(picture)]):
        assert read_text(source).text == "Salt 4.20"


@pytest.mark.parametrize("size", [(192, 192), (1, 1)])
def test_an_empty_picture_is_a_page_without_lines(size):
    pytest.importorskip("rapidocr")
    page = read_text(Image.new("RGB", size, "white"))
    assert (page.lines, (page.width, page.height)) == ((), size)


@pytest.mark.parametrize("size", [(1, 1), (192, 192), (800, 600), (2000, 3), (3, 2000), (9000, 1)])
def test_the_tool_gets_a_sheet_of_a_sound_shape_with_the_picture_in_its_corner(size):
    """It enlarges the short side to 736 pixels: 3 x 2,000 of them took 20 GB."""
    sheet = ocr._sheet(Image.new("RGB", size, (1, 2, 3)))
    height, width, _ = sheet.shape
    assert max(width, height) == max(size) and max(width, height) <= ocr.SLIMMEST * min(width, height)
    assert sheet[0, 0].tolist() == sheet[size[1] - 1, size[0] - 1].tolist() == [3, 2, 1], "blue before red"
    assert int((sheet == 255).all(-1).sum()) == width * height - size[0] * size[1]


def test_reading_prints_nothing(capfd):
    pytest.importorskip("rapidocr")
    ocr._reader.cache_clear()  # its first breath, too
    assert read_text(paper("Tea")).text == "Tea" and not read_text(paper()).lines
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_the_tool_is_made_once():
    pytest.importorskip("rapidocr")
    assert ocr._reader() is ocr._reader()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([paper("a"), paper("b")], "takes one picture, not 2"), ([], "takes one picture, not 0"),
        ("no/such/file.png", "can't be read"), (7, "not int"), (b"no picture", "no picture that can be read"),
    ],
)  # fmt: skip
def test_what_is_not_one_picture_is_refused_before_anything_is_read(source, words, monkeypatch):
    monkeypatch.setattr(ocr, "_reader", None)
    with pytest.raises(BadRequest, match=words):
        read_text(source)


def test_without_rapidocr_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ocr._reader.cache_clear()
    with pytest.raises(NotHere, match="read_text needs RapidOCR.*pip install rapidocr"):
        read_text(paper("Tea"))


def test_a_question_follows_the_text():
    asked, settings = ask_about_text(Listener(), NOTE, "What is the total?", max_tokens=5)
    assert asked == "A picture says:\nMilk\nTOTAL  9.40\n\nWhat is the total?" and settings == {"max_tokens": 5}


def test_with_boxes_a_question_follows_the_places():
    asked, settings = ask_about_text(Listener(), NOTE, "What is at the top?", boxes=True)
    assert asked.startswith("A picture holds this text, each piece after its place (pixels across, down):\n(25, 10) Mi")
    assert asked.endswith("(75, 36) 9.40\n\nWhat is at the top?") and settings == {}


def test_a_picture_is_read_and_asked_about_in_one_go():
    pytest.importorskip("rapidocr")
    asked, _ = ask_about_text(Listener(), paper("Salt 4.20"), "How much?")
    assert asked == "A picture says:\nSalt 4.20\n\nHow much?"


def test_a_model_of_text_answers(tiny):
    reply = ask_about_text(tiny, NOTE, "How much?", max_tokens=4)
    same = tiny.ask("A picture says:\nMilk\nTOTAL  9.40\n\nHow much?", max_tokens=4)
    assert reply.text == same.text
    assert reply.metrics.prompt_tokens == same.metrics.prompt_tokens > len("Milk TOTAL 9.40 How much?")


@pytest.mark.parametrize("question", ["", "  \n", None, 7])
def test_an_empty_question_is_refused_before_anything_is_read(question, monkeypatch):
    monkeypatch.setattr(ocr, "_reader", None)
    with pytest.raises(BadRequest, match="question is empty"):
        ask_about_text(Listener(), paper("Tea"), question)


def test_a_picture_without_text_leaves_nothing_to_ask_about():
    with pytest.raises(BadRequest, match="No text was found"):
        ask_about_text(Listener(), Page((), 30, 20), "What is it?")

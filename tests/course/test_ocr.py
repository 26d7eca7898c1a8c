"""ocr: the real RapidOCR on pictures whose text is known, because they were drawn from it."""

import re
import sys

import pytest
from PIL import Image, ImageDraw

from course import ocr
from course.drawn.canvas import font
from course.drawn.draws import draw as draw_scene
from course.ocr import Line, Page, read_text
from slmlab.errors import NotHere


def paper(text: str = "") -> Image.Image:
    picture = Image.new("RGB", (192, 192), "white")
    ImageDraw.Draw(picture).text((10, 90), text, fill="black", font=font("DejaVuSans", 24), anchor="lm")
    return picture


def test_a_page_is_read_row_by_row_and_from_left_to_right():
    price = Line("9.40", 60, 31, 90, 41, 0.8)  # one pixel lower than the word beside it, and found first
    page = Page((price, Line("TOTAL", 10, 30, 50, 40, 0.9), Line("Milk", 10, 5, 40, 15, 1.0)))
    assert page.text == str(page) == "Milk\nTOTAL  9.40"
    assert [line.text for line in page] == ["Milk", "TOTAL", "9.40"]
    assert price.middle == (75, 36)


def test_what_stands_lower_than_half_a_line_is_a_row_of_its_own():
    steps = Page((Line("a", 0, 0, 9, 10, 1.0), Line("b", 10, 4, 19, 14, 1.0), Line("c", 20, 8, 29, 18, 1.0)))
    assert [[line.text for line in row] for row in steps.rows] == [["a", "b"], ["c"]]


def test_drawn_papers_are_read_to_the_letter():
    """Each line the right way up: a guess about that made a 9 of the 6 in table 2, and nothing of UTI in table 9."""
    pytest.importorskip("rapidocr")
    for kind, seed in (("receipt", 2), ("table", 2), ("table", 9), ("text", 11)):
        scene = draw_scene(kind, seed)
        wanted = scene.reading or scene.questions[0].answer
        assert [line.text for line in read_text(scene.pictures[0])] == re.findall(r"[^ ,:/]+", wanted)


def test_a_receipt_is_a_row_for_each_thing_with_boxes_around_what_was_drawn():
    pytest.importorskip("rapidocr")
    scene = draw_scene("receipt", 0)
    page = read_text(scene.pictures[0])
    assert page.text == "Honey  0.70\nBread  3.95\nCoffee  2.30\nTOTAL  6.95"
    glyphs = scene.canvases[0].glyphs
    for line in page:
        assert 0 <= line.left < line.right <= 192 and 0 <= line.top < line.bottom <= 192
        inside = [sign for sign, x, y in glyphs if line.left < x < line.right and line.top < y < line.bottom]
        assert "".join(inside) == line.text and 0.5 < line.score <= 1


def test_reading_prints_nothing_and_an_empty_picture_has_no_lines(capfd):
    pytest.importorskip("rapidocr")
    ocr._reader.cache_clear()  # its first breath, too
    assert read_text(paper("Salt 4.20")).text == "Salt 4.20"
    empty = read_text(paper())
    assert (empty.lines, empty.text, str(empty)) == ((), "", "(no text was found)")
    assert capfd.readouterr() == ("", "")


def test_the_tool_gets_a_sheet_of_a_sound_shape_with_the_picture_in_its_corner():
    """It enlarges the short side to 736 pixels: 3 x 2,000 of them took 20 GB."""
    for size in ((1, 1), (800, 600), (2000, 3), (3, 2000)):
        sheet = ocr._sheet(Image.new("RGB", size, (1, 2, 3)))
        height, width, _ = sheet.shape
        assert max(width, height) == max(size) <= ocr.SLIMMEST * min(width, height)
        assert sheet[0, 0].tolist() == sheet[size[1] - 1, size[0] - 1].tolist() == [3, 2, 1], "blue before red"
        assert int((sheet == 255).all(-1).sum()) == width * height - size[0] * size[1]


def test_without_rapidocr_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    ocr._reader.cache_clear()
    with pytest.raises(NotHere, match="read_text needs RapidOCR.*pip install 'slmlab.ocr.'"):
        read_text(paper("Tea"))

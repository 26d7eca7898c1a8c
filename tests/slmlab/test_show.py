"""show: what a terminal and a notebook show of a record."""

from slmlab.show import Shown, Table, in_bytes, in_count, table


def test_figures_stand_to_the_right_and_words_to_the_left():
    assert str(Table(("a", "n"), [("x", 7), ("long", 12)])) == "a      n\nx      7\nlong  12"
    floats = table([{"name": "x", "n": 7.12345}, {"name": "y", "n": 12345.6}])
    assert str(floats) == "name       n\nx       7.12\ny     12,346", "dicts are rows and floats get three digits"


def test_the_last_column_folds_under_itself():
    lines = str(Table(("", ""), [("key", "word " * 20)], wrap=50)).splitlines()
    assert len(lines) == 3 and all(len(line) <= 50 for line in lines)
    assert lines[1].startswith("     word")
    several = Table(("a", "b"), [("\n".join("abcdefghijklmno"), "word " * 20)], wrap=50)
    assert max(map(len, str(several).splitlines())) > 40, "a cell is as wide as its longest line"


def test_on_a_page_heads_stand_over_their_columns_and_every_cell_is_escaped():
    shown = Table(("name", "n"), [("x", "7"), ("y", "unknown")])._repr_html_()
    right = [part.split(">")[1].split("<")[0].strip() for part in shown.split("text-align: right;")[1:]]
    assert right == ["n", "7", "unknown"]
    assert Table(("<a>",), [("<b>",)], "<c>", "<d>")._repr_html_().count("&lt;") == 4
    lines = Table(("", ""), [("a", "b\nc")], note="one\ntwo")._repr_html_()
    assert "b<br>c" in lines and "<p>one<br>two</p>" in lines


def test_a_record_prints_in_a_terminal_and_on_a_page():
    shown = Table(("name", "n"), [("x", 7)], caption="About x", note="read")

    class Record(Shown):
        def _table(self):
            return shown

    assert str(Record()) == repr(Record()) == "About x\nname  n\nx     7\nread"
    assert Record()._repr_html_() == shown._repr_html_()


def test_sizes_are_in_decimal_units_and_counts_in_words():
    sizes = {None: "unknown", 0: "0 bytes", 999: "999 bytes", 538e6: "538 MB", 999.9e6: "1.00 GB", 1.6e12: "1.60 TB"}
    counts = {None: "undisclosed", 12: "12", 134_515_008: "135 million", 41_873_153_344: "41.9 billion"}
    assert {size: in_bytes(size) for size in sizes} == sizes
    assert {number: in_count(number) for number in counts} == counts

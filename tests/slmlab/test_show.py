"""show: what a terminal and a notebook show of a record."""

from slmlab.show import Shown, Table, html_table, in_bytes, in_count, table, text_table


def test_figures_stand_to_the_right_and_words_to_the_left():
    assert text_table(("a", "n"), [("x", "7"), ("long", "12")]) == "a      n\nx      7\nlong  12"
    assert text_table(("", ""), []) == ""


def test_the_last_column_folds_under_itself():
    lines = text_table(("", ""), [("key", "word " * 20)], wrap=50).splitlines()
    assert len(lines) == 3 and all(len(line) <= 50 for line in lines)
    assert lines[1].startswith("     word")


def test_heads_stand_over_their_columns():
    shown = html_table(("name", "n"), [("x", "7"), ("y", "unknown")])
    right = [part.split(">")[1].split("<")[0].strip() for part in shown.split("text-align: right;")[1:]]
    assert right == ["n", "7", "unknown"]


def test_dicts_are_rows_and_floats_get_three_digits():
    assert (
        str(table([{"name": "x", "n": 7.12345}, {"name": "y", "n": 12345.6}]))
        == "name       n\nx       7.12\ny     12,346"
    )


def test_html_escapes_every_cell():
    assert html_table(("<a>",), [("<b>",)], "<c>", "<d>").count("&lt;") == 4


def test_a_record_prints_in_a_terminal_and_on_a_page():
    class Record(Shown):
        def _table(self):
            return Table(("name", "n"), [("x", 7)], caption="About x", note="read")

    assert str(Record()) == repr(Record()) == "About x\nname  n\nx     7\nread"
    assert Record()._repr_html_() == html_table(("name", "n"), [("x", 7)], "About x", "read")


def test_sizes_are_in_decimal_units_and_counts_in_words():
    sizes = {None: "unknown", 0: "0 bytes", 999: "999 bytes", 538e6: "538 MB", 999.9e6: "1.00 GB", 1.6e12: "1.60 TB"}
    counts = {None: "undisclosed", 12: "12", 134_515_008: "135 million", 41_873_153_344: "41.9 billion"}
    assert {size: in_bytes(size) for size in sizes} == sizes
    assert {number: in_count(number) for number in counts} == counts

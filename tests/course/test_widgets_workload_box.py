"""The time of a job on each runtime, live and as a table."""

from types import SimpleNamespace

import pytest

from course import widgets
from course.widgets.workload_box import FIXED, JobTime, job_times, who_wins


def result(name, reads_tokens_per_s, writes_tokens_per_s):
    return SimpleNamespace(name=name, reads_tokens_per_s=reads_tokens_per_s, writes_tokens_per_s=writes_tokens_per_s)


READER, WRITER, SLOW = result("reader", 1000, 20), result("writer", 250, 100), result("slow <b>", 100, 10)
GONE, HALF = result("gone", None, None), result("half", 900, None)


@pytest.fixture
def box():
    shown = widgets.workload_box([GONE, SLOW, READER, HALF, WRITER])
    yield shown
    shown.close()


def test_a_job_is_reading_and_then_writing_the_fastest_first_and_the_unknown_last():
    assert job_times([READER], 500, 40) == [JobTime("reader", 2.5, 0.5, 2.0)]
    times = job_times([GONE, SLOW, HALF, READER], 100, 10)
    assert [time.name for time in times] == ["reader", "slow <b>", "gone", "half"]
    assert [time.total_s for time in times[2:]] == [None, None], "half a speed is no time"


def test_one_sentence_says_who_wins_and_why():
    race = [READER, WRITER]
    for results, job, says in (
        (race, (8000, 10), "reader wins with 8.50 s, and reading decides: it is 94% of that time, "
         "and there it gains most on writer."),
        (race, (1000, 90), "writer wins with 4.90 s, and writing decides: there it gains most on reader, "
         "although reading is 82% of that time."),
        ([READER, GONE], (1000, 10), "Fewer than two of these runtimes have both speeds measured, so none wins."),
    ):  # fmt: skip
        assert who_wins(job_times(results, *job)) == says


def test_moving_a_slider_ranks_the_runtimes_anew(box):
    assert (box.read.value, box.written.value) == FIXED
    box.read.value, box.written.value = 8000, 8
    assert [time.name for time in box.times] == ["reader", "writer", "slow <b>", "gone", "half"]
    assert box.bars.value.index("reader") < box.bars.value.index("writer") and "reader wins" in box.status.value
    box.read.value, box.written.value = 10, 2000
    assert box.times[0].name == "writer" and box.bars.value.index("writer") < box.bars.value.index("reader")
    assert "writer wins" in box.status.value and 'role="status"' in box.status.value


def test_the_bars_say_their_seconds_in_words_and_the_slowest_fills_the_row(box):
    box.read.value, box.written.value = 1000, 90
    shown = box.bars.value
    assert "<b>4.90 s</b> (reading 4.00 s, writing 0.90 s)" in shown and "width: 52.63%" in shown
    assert "dark: reading the prompt" in shown and "light, striped: writing the answer" in shown
    assert shown.count('aria-hidden="true"') == 5, "who can't see the bars hears the seconds"
    assert shown.count("absent: not on this machine, or not measured") == 2
    last = shown.split("<tr>")[-2:]
    assert "gone" in last[0] and "half" in last[1] and not any("display: flex" in row for row in last)


def test_it_reads_as_a_table_of_one_fixed_job_wherever_the_sliders_stand(box):
    html, text = box.static_html(), box.static_text()
    box.read.value, box.written.value = 10, 2000
    bundle = box._repr_mimebundle_()
    assert (bundle["text/html"], bundle["text/plain"]) == (html, text) and repr(box) == text
    for shown in (html, text):
        assert "A fixed job: 512 tokens to read and 64 to write (run the notebook" in shown
        assert "writer wins with 2.69" in shown and "absent" in shown
    names = [line.split()[0] for line in text.splitlines()[3:8]]
    assert html.count("<tr>") == 6 and names == ["writer", "reader", "slow", "gone", "half"]
    for html in (box.bars.value, box.static_html()):
        assert "slow &lt;b&gt;" in html and "slow <b>" not in html, "a runtime's name is no HTML"


def test_one_that_is_far_slower_does_not_squash_the_bars_of_the_others():
    """Its own is cut, and says so."""
    fast = [result(f"fast {number}", 1000, 100) for number in range(3)]
    bars = widgets.workload_box([*fast, result("snail", 10, 1)]).bars.value
    cut = bars.split("longer than its bar")
    assert len(cut) == 2 and "snail" in cut[0].rsplit("<tr>", 1)[1]
    widths = [float(part.split("%")[0]) for part in bars.split("fast 0")[1].split("</tr>")[0].split("width: ")[2:4]]
    assert sum(widths) == pytest.approx(25, abs=0.1), "a fourth of the longest bar, and not a hundredth"

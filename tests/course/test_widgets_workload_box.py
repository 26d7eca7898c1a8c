"""The time of a job on each runtime, live and as a table."""

import pytest

from course import widgets
from course.runtimes.results import Result, Results
from course.widgets.workload_box import FIXED, JobTime, job_times, who_wins


def result(name, reads, writes, **more):
    return Result(name, reads=(reads,) if reads else (), writes=(writes,) if writes else (), **more)


def raced(*results, others_cores=0.0):
    return Results(results, "", others_cores)


READER, WRITER, SLOW = result("reader", 1000, 20), result("writer", 250, 100), result("slow <b>", 100, 10)
GONE, HALF = result("gone", None, None), result("half", 900, None)


@pytest.fixture
def box():
    return widgets.workload_box(raced(GONE, SLOW, READER, HALF, WRITER))


def test_a_job_is_reading_and_then_writing_the_fastest_first_and_the_unknown_last():
    assert job_times(raced(READER), 500, 40) == [JobTime("reader", 2.5, 0.5, 2.0)]
    times = job_times(raced(GONE, SLOW, HALF, READER), 100, 10)
    assert [time.name for time in times] == ["reader", "slow <b>", "gone", "half"]
    assert [time.total_s for time in times[2:]] == [None, None], "half a speed is no time"
    ended = result("ended", 2000, 200, fault="ended (signal 9)")
    assert job_times(raced(ended), 100, 10) == [JobTime("ended")], "one that ended in the second round can't win"


def test_one_sentence_says_who_wins_and_why():
    race = [READER, WRITER]
    for results, job, says in (
        (race, (8000, 10), "reader is done first, in 8.50 s. 94% of that time is reading."),
        (race, (1000, 90), "writer is done first, in 4.90 s. 82% of that time is reading."),
        ([READER, GONE], (1000, 10), "Fewer than two of these runtimes have both speeds measured here, so none wins."),
        ([READER, result("next", 990, 20)], (900, 20), "reader is done first, in 1.90 s. 53% of that time is writing. "
         "next takes about as long."),
    ):  # fmt: skip
        assert who_wins(job_times(raced(*results), *job)) == says


def test_a_form_that_lost_its_quality_or_ran_elsewhere_is_hatched_and_never_wins():
    coarse, far = result("int4", 2000, 200, loss=0.36), result("openvino", 3000, 300, recorded="2026-11-29, 2 cores")
    shown = widgets.workload_box(raced(coarse, far, READER, WRITER))
    said = shown.status.value
    assert "writer is done first" in said and "int4 takes 0.58 s, and doesn&#x27;t count: perplexity 36% above" in said
    rows = shown.bars.value.split("<tr>")
    assert [("repeating-linear-gradient(45deg" in row) for row in rows[1:]] == [True, True, False, False]
    busy = widgets.workload_box(raced(READER, WRITER, others_cores=1.0))
    assert "too busy to conclude" in busy.status.value and "done first" not in busy.static_text()


def test_moving_a_slider_ranks_the_runtimes_anew(box):
    assert (box.read.value, box.written.value) == FIXED
    box.read.value, box.written.value = 8000, 8
    assert [time.name for time in box.times] == ["reader", "writer", "slow <b>", "gone", "half"]
    assert "reader is done first" in box.status.value
    box.read.value, box.written.value = 10, 2000
    assert box.bars.value.index("writer") < box.bars.value.index("reader")
    assert "writer is done first" in box.status.value and 'role="status"' in box.status.value


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
        assert "writer is done first, in 2.69" in shown and "absent" in shown
    names = [line.split()[0] for line in text.splitlines()[3:8]]
    assert html.count("<tr>") == 6 and names == ["writer", "reader", "slow", "gone", "half"]
    for html in (box.bars.value, box.static_html()):
        assert "slow &lt;b&gt;" in html and "slow <b>" not in html, "a runtime's name is no HTML"

"""teaching/workload_widget: the time of a job on each runtime, live and as a table."""

from types import SimpleNamespace

import pytest

from course import widgets
from course.widgets.workload_box import FIXED, READ_STEPS, WRITE_STEPS, JobTime, job_times, who_wins
from slmlab.errors import BadRequest

LIVE = "application/vnd.jupyter.widget-view+json"


def result(name, reads_tokens_per_s, writes_tokens_per_s):
    return SimpleNamespace(name=name, reads_tokens_per_s=reads_tokens_per_s, writes_tokens_per_s=writes_tokens_per_s)


READER, WRITER, SLOW = result("reader", 1000, 20), result("writer", 250, 100), result("slow <b>", 100, 10)
GONE, HALF = result("gone", None, None), result("half", 900, None)


@pytest.fixture
def box():
    shown = widgets.workload_box([GONE, SLOW, READER, HALF, WRITER])
    yield shown
    shown.close()


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_job_is_reading_and_then_writing():
    assert job_times([READER], 500, 40) == [JobTime("reader", 0.5, 2.0)]
    assert job_times([READER], 500, 40)[0].total_s == 2.5


def test_the_fastest_comes_first_and_the_unknown_last_in_their_own_order():
    assert [time.name for time in job_times([GONE, SLOW, HALF, READER], 100, 10)] == [
        "reader", "slow <b>", "gone", "half",
    ]  # fmt: skip
    assert [time.total_s for time in job_times([GONE, HALF], 100, 10)] == [None, None], "half a speed is no time"


def test_reading_decides_a_long_text_and_writing_a_story():
    both = [READER, WRITER]
    assert (
        who_wins(job_times(both, 8000, 10)).startswith("reader wins") and job_times(both, 10, 500)[0].name == "writer"
    )
    assert plain(who_wins(job_times(both, 8000, 10))) == (
        "reader wins with 8.50 s, and reading decides: it is 94% of that time, and there it gains most on writer."
    )
    assert "writing decides: it is 99% of that time" in who_wins(job_times(both, 10, 500))


def test_what_decides_may_be_the_shorter_part():
    assert plain(who_wins(job_times([READER, WRITER], 1000, 90))) == (
        "writer wins with 4.90 s, and writing decides: "
        "there it gains most on reader, although reading is 82% of that time."
    )


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([READER, GONE], "reader is the only one measured, with 1.50 s; reading is 67% of it."),
        ([GONE, HALF], "None of these runtimes has both of its speeds measured, so none wins."),
        ([READER, result("twin", 1000, 20)], "reader and twin are level at 1.50 s, so neither part decides."),
    ],
)
def test_where_there_is_no_race_the_sentence_says_so(results, says):
    assert plain(who_wins(job_times(results, 1000, 10))) == says


def test_the_sliders_start_at_the_fixed_job_and_go_in_steps_that_grow():
    for steps, ends in ((READ_STEPS, (10, 8000)), (WRITE_STEPS, (1, 2000))):
        assert (steps[0], steps[-1]) == ends
        assert all(1.2 < after / before <= 2 for before, after in zip(steps, steps[1:], strict=False))
    shown = widgets.workload_box([READER])
    assert (shown.read.value, shown.written.value) == FIXED and shown.times == job_times([READER], *FIXED)
    shown.close()


def test_moving_a_slider_ranks_the_runtimes_anew(box):
    box.read.value, box.written.value = 8000, 8
    assert [time.name for time in box.times] == ["reader", "writer", "slow <b>", "gone", "half"]
    assert box.bars.value.index("reader") < box.bars.value.index("writer") and "reader wins" in box.remark.value
    box.read.value, box.written.value = 10, 2000
    assert box.times[0].name == "writer" and box.bars.value.index("writer") < box.bars.value.index("reader")
    assert "writer wins" in box.remark.value and 'role="status"' in box.remark.value


def test_every_step_can_be_drawn(box):
    for read in READ_STEPS:
        for written in WRITE_STEPS:
            box.read.value, box.written.value = read, written
            assert len(box.times) == 5 and " wins with " in box.remark.value


def test_the_bars_say_their_seconds_in_words_and_the_slowest_fills_the_row(box):
    box.read.value, box.written.value = 1000, 90
    shown = plain(box.bars.value)
    assert "<b>4.90 s</b> (reading 4.00 s, writing 0.90 s)" in shown and "width: 52.63%" in shown
    assert "dark: reading the prompt" in shown and "light, striped: writing the answer" in shown
    assert shown.count('aria-hidden="true"') == 3, "who can't see the bars hears the seconds"


def test_the_absent_are_named_and_have_no_bar(box):
    assert box.bars.value.count("absent: not on this machine, or not measured") == 2
    last = box.bars.value.split("<tr>")[-2:]
    assert "gone" in last[0] and "half" in last[1] and not any("display: flex" in row for row in last)


def test_what_a_runtime_is_called_is_no_html(box):
    for html in (box.bars.value, box.static_html()):
        assert "slow &lt;b&gt;" in html and "slow <b>" not in html


def test_it_reads_as_a_table_of_one_fixed_job_wherever_the_sliders_stand(box):
    html, text = box.static_html(), box.static_text()
    box.read.value, box.written.value = 10, 2000
    bundle = box._repr_mimebundle_()
    assert bundle[LIVE]["model_id"] == box.box.model_id
    assert (bundle["text/html"], bundle["text/plain"]) == (html, text) and repr(box) == text
    for shown in (html, text):
        assert "A fixed job: 512 tokens to read and 64 to write (run the notebook" in shown
        assert "writer wins with 2.69" in shown and "absent" in shown
    assert html.count("<tr>") == 6 and [line.split()[0] for line in text.splitlines()[3:8]] == [
        "writer", "reader", "slow", "gone", "half",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("results", "says"),
    [([], "at least one result"), ([result("a", 0, 5)], "A speed of a is 0: give one above 0, or None"),
     ([result("a", 5, -1)], "above 0"), ([result("a", float("nan"), 5)], "A speed of a is nan")],
)  # fmt: skip
def test_results_that_give_no_time_are_refused(results, says):
    with pytest.raises(BadRequest, match=says):
        widgets.workload_box(results)


def test_one_that_is_far_slower_does_not_squash_the_bars_of_the_others():
    """Its own is cut, and says so."""
    fast = [result(f"fast {number}", 1000, 100) for number in range(3)]
    shown = widgets.workload_box([*fast, result("snail", 10, 1)])
    bars = plain(shown.bars.value)
    assert (
        bars.count("longer than its bar") == 1 and "snail" in bars.split("longer than its bar")[0].rsplit("<tr>", 1)[1]
    )
    widths = [float(part.split("%")[0]) for part in bars.split("fast 0")[1].split("</tr>")[0].split("width: ")[2:4]]
    assert sum(widths) == pytest.approx(25, abs=0.1), "a fourth of the longest bar, and not a hundredth"
    shown.close()

"""A box with two sliders, tokens to read and tokens to write, and how long each runtime takes for that job.

Takes measured speeds, and knows nothing about who measured them: moving a slider is arithmetic.
"""

from dataclasses import dataclass
from html import escape
from statistics import median

from course.live import Live, bar_table, ipywidgets, paragraph, wide
from slmlab.plots.style import BLUE, SKY, percent, seconds
from slmlab.show import Table

WRITE_STEPS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 180, 256, 360, 512, 720, 1000, 1400, 2000)
READ_STEPS = (10, *WRITE_STEPS[7:], 2800, 4000, 5700, 8000)  # each is about 1.4 times the one before
MOST_SPREAD = 4  # times the median: a slower runtime has a bar that is cut, and says so
FIXED = (512, 64)  # the job that a page without a kernel shows
_READS = f"background: {BLUE}"
_WRITES = f"background: repeating-linear-gradient(135deg, {SKY} 0 6px, #d4ecfa 6px 9px)"  # told apart without colour


@dataclass(frozen=True)
class JobTime:
    """How long a runtime takes for a job, in all and in its two parts; None where it was not measured."""

    name: str
    total_s: float | None = None
    reading_s: float | None = None
    writing_s: float | None = None


def job_times(results, read_tokens: int, written_tokens: int) -> list[JobTime]:
    """The time of each runtime for this job, the fastest first; at the end those of which a speed is unknown."""
    times = []
    for one in results:
        if None in (one.reads_tokens_per_s, one.writes_tokens_per_s):
            times.append(JobTime(one.name))
        else:
            reading_s, writing_s = read_tokens / one.reads_tokens_per_s, written_tokens / one.writes_tokens_per_s
            times.append(JobTime(one.name, reading_s + writing_s, reading_s, writing_s))
    return sorted(times, key=lambda time: time.total_s or float("inf"))


def who_wins(times: list[JobTime]) -> str:
    """One sentence: who is done first, and whether reading or writing decides."""
    measured = [time for time in times if time.total_s is not None]
    if len(measured) < 2:
        return "Fewer than two of these runtimes have both speeds measured, so none wins."
    first, second = measured[:2]
    reading = first.reading_s / first.total_s
    longer, share = ("reading", percent(reading)) if reading >= 0.5 else ("writing", percent(1 - reading))
    faster = second.reading_s - first.reading_s > second.writing_s - first.writing_s
    decides, gains = "reading" if faster else "writing", f"there it gains most on {second.name}"
    told = f"{first.name} wins with {seconds(first.total_s)}, and {decides} decides"
    if longer == decides:
        return f"{told}: it is {share} of that time, and {gains}."
    return f"{told}: {gains}, although {longer} is {share} of that time."


class WorkloadBox(Live):
    """Choose how much is read and written, and see which runtime is done first. Each result has a `name`,
    `reads_tokens_per_s` and `writes_tokens_per_s`, None where it isn't known."""

    def __init__(self, results):
        w = ipywidgets()
        self._results = list(results)
        options = [[(f"{step:,}", step) for step in steps] for steps in (READ_STEPS, WRITE_STEPS)]
        size, (read, written) = wide(120, 480), FIXED
        self.read = w.SelectionSlider(options=options[0], value=read, description="tokens to read", **size)
        self.written = w.SelectionSlider(options=options[1], value=written, description="tokens to write", **size)
        self.bars = w.HTML()
        for slider in (self.read, self.written):
            slider.observe(lambda _: self._draw(), names="value")
        self.lay_out(self.read, self.written, self.bars)
        self._draw()

    def _draw(self) -> None:
        self.times = job_times(self._results, self.read.value, self.written.value)
        self.bars.value = _bars(self.times)
        self.say(who_wins(self.times))

    def _fixed(self) -> tuple:
        """Heads, rows, title and sentence of the fixed job, wherever the sliders stand."""
        times = job_times(self._results, *FIXED)
        job = f"A fixed job: {FIXED[0]:,} tokens to read and {FIXED[1]:,} to write"
        title = f"{job} (run the notebook to choose your own)"
        return ("runtime", "in all", "reading", "writing"), list(map(_row, times)), title, who_wins(times)

    def static_text(self) -> str:
        heads, rows, title, said = self._fixed()
        return f"{title}\n\n{Table(heads, rows)}\n\n{said}"

    def static_html(self) -> str:
        return Table(*self._fixed())._repr_html_()


def _row(time: JobTime) -> tuple[str, ...]:
    if time.total_s is None:
        return time.name, "absent", "", ""
    return time.name, *map(seconds, (time.total_s, time.reading_s, time.writing_s))


def _bars(times: list[JobTime]) -> str:
    legend = paragraph("dark: reading the prompt · light, striped: writing the answer")
    totals = [time.total_s for time in times if time.total_s is not None]
    # a full bar is the slowest, unless it would leave the others too short to compare
    full_s = min(max(totals), MOST_SPREAD * median(totals)) if totals else 0.0
    return legend + bar_table(_bar(time, full_s) for time in times)


def _bar(time: JobTime, full_s: float) -> tuple[str, str, str]:
    name, total_s = escape(time.name), time.total_s
    if total_s is None:
        return name, "", "absent: not on this machine, or not measured"
    parts = "".join(
        f'<div style="width: {part_s / max(full_s, total_s):.2%}; {look}"></div>'
        for part_s, look in ((time.reading_s, _READS), (time.writing_s, _WRITES))
    )
    longer = ", longer than its bar" if total_s > full_s else ""
    spent = f"reading {seconds(time.reading_s)}, writing {seconds(time.writing_s)}"
    words = f"<b>{seconds(total_s)}</b> ({spent}){longer}"
    return name, f'<div style="display: flex; height: 18px">{parts}</div>', words

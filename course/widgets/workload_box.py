"""A box with two sliders, tokens to read and tokens to write, and how long each runtime takes for that job.

Takes the results of a race: moving a slider is arithmetic. Who lost quality, or ran elsewhere, is shown and never wins.
"""

from dataclasses import dataclass
from html import escape

from course.live import Live, bar_table, ipywidgets, paragraph, wide
from course.runtimes.results import CLOSE, POOR, Results
from slmlab.plots.style import BLUE, SKY, percent, seconds
from slmlab.show import Table

WRITE_STEPS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 180, 256, 360, 512, 720, 1000, 1400, 2000)
READ_STEPS = (10, *WRITE_STEPS[7:], 2800, 4000, 5700, 8000)  # each is about 1.4 times the one before
FIXED = (512, 64)  # the job that a page without a kernel shows
_READS = f"background: {BLUE}"
_WRITES = f"background: repeating-linear-gradient(135deg, {SKY} 0 6px, #d4ecfa 6px 9px)"  # told apart without colour
_ASIDE = "background: repeating-linear-gradient(45deg, #9a9a9a 0 2px, #e4e4e4 2px 8px)"


@dataclass(frozen=True)
class JobTime:
    """How long a runtime takes for a job, in all and in its two parts; None where it was not measured. `aside` is why
    it can't win."""

    name: str
    total_s: float | None = None
    reading_s: float | None = None
    writing_s: float | None = None
    aside: str = ""


def job_times(results: Results, read_tokens: int, written_tokens: int) -> list[JobTime]:
    """The time of each runtime for this job, the fastest first; at the end those of which a speed is unknown."""
    times = []
    for one in results:
        if one.fault or None in (one.reads_tokens_per_s, one.writes_tokens_per_s):
            times.append(JobTime(one.name))
        else:
            reading_s, writing_s = read_tokens / one.reads_tokens_per_s, written_tokens / one.writes_tokens_per_s
            poor = f"perplexity {percent(one.loss)} above fp32" if (one.loss or 0) > POOR else ""
            aside = ", ".join(filter(None, (poor, "recorded elsewhere" if one.recorded else "")))
            times.append(JobTime(one.name, reading_s + writing_s, reading_s, writing_s, aside))
    return sorted(times, key=lambda time: time.total_s or float("inf"))


def who_wins(times: list[JobTime]) -> str:
    """Who is done first, what takes most of that time, and who is faster but can't win."""
    measured = [time for time in times if time.total_s is not None]
    first, *others = [time for time in measured if not time.aside] or [None]
    if not others:
        return "Fewer than two of these runtimes have both speeds measured here, so none wins."
    reading = first.reading_s / first.total_s
    longer, share = ("reading", reading) if reading >= 0.5 else ("writing", 1 - reading)
    said = [f"{first.name} is done first, in {seconds(first.total_s)}. {percent(share)} of that time is {longer}."]
    if others[0].total_s < first.total_s * (1 + CLOSE):
        said.append(f"{others[0].name} takes about as long.")
    for one in measured[: measured.index(first)]:
        said.append(f"{one.name} takes {seconds(one.total_s)}, and doesn't count: {one.aside}.")
    return " ".join(said)


class WorkloadBox(Live):
    """Choose how much is read and written, and see which runtime is done first."""

    def __init__(self, results: Results):
        w = ipywidgets()
        self._results = results
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
        self.say(self._results.busy or who_wins(self.times))

    def _fixed(self) -> tuple:
        """Heads, rows, title and sentence of the fixed job, wherever the sliders stand."""
        times = job_times(self._results, *FIXED)
        job = f"A fixed job: {FIXED[0]:,} tokens to read and {FIXED[1]:,} to write"
        title = f"{job} (run the notebook to choose your own)"
        said = self._results.busy or who_wins(times)
        return ("runtime", "in all", "reading", "writing", ""), list(map(_row, times)), title, said

    def static_text(self) -> str:
        heads, rows, title, said = self._fixed()
        return f"{title}\n\n{Table(heads, rows)}\n\n{said}"

    def static_html(self) -> str:
        return Table(*self._fixed())._repr_html_()


def _row(time: JobTime) -> tuple[str, ...]:
    if time.total_s is None:
        return time.name, "absent", "", "", ""
    return time.name, *map(seconds, (time.total_s, time.reading_s, time.writing_s)), time.aside


def _bars(times: list[JobTime]) -> str:
    legend = paragraph("dark: reading the prompt · light, striped: writing the answer · grey, hatched: can't win")
    slowest_s = max((time.total_s or 0.0 for time in times), default=0.0)
    return legend + bar_table(_bar(time, slowest_s) for time in times)


def _bar(time: JobTime, slowest_s: float) -> tuple[str, str, str]:
    name, total_s = escape(time.name), time.total_s
    if total_s is None:
        return name, "", "absent: not on this machine, or not measured"
    looks = (_ASIDE, _ASIDE) if time.aside else (_READS, _WRITES)
    parts = "".join(
        f'<div style="width: {part_s / slowest_s:.2%}; {look}"></div>'
        for part_s, look in zip((time.reading_s, time.writing_s), looks, strict=True)
    )
    spent = f"reading {seconds(time.reading_s)}, writing {seconds(time.writing_s)}"
    words = f"<b>{seconds(total_s)}</b> ({spent})" + f" · {escape(time.aside)}" * bool(time.aside)
    return name, f'<div style="display: flex; height: 18px">{parts}</div>', words

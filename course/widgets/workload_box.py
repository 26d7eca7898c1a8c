"""A box with two sliders, tokens to read and tokens to write, and how long each runtime takes for that job.

Takes measured speeds, and knows nothing about who measured them: moving a slider is arithmetic.
"""

from dataclasses import dataclass
from html import escape
from statistics import median

from course.live import Live, ipywidgets, paragraph
from slmlab.plots.style import BLUE, SKY, listed, percent, seconds
from slmlab.show import html_table, text_table

# each step is about 1.4 times the one before
READ_STEPS = (10, 16, 23, 32, 45, 64, 90, 128, 180, 256, 360, 512, 720, 1000, 1400, 2000, 2800, 4000, 5700, 8000)
WRITE_STEPS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 180, 256, 360, 512, 720, 1000, 1400, 2000)
MOST_SPREAD = 4  # times the median: a slower runtime has a bar that is cut, and says so
FIXED = (512, 64)  # the job that a page without a kernel shows
_ABSENT = "absent: not on this machine, or not measured"
_READS = f"background: {BLUE}"
_WRITES = f"background: repeating-linear-gradient(135deg, {SKY} 0 6px, #d4ecfa 6px 9px)"  # told apart without colour


@dataclass(frozen=True)
class JobTime:
    """How long a runtime takes for a job, in its two parts; None for one that is absent or was not measured."""

    name: str
    reading_s: float | None = None
    writing_s: float | None = None

    @property
    def total_s(self) -> float | None:
        return None if self.reading_s is None else self.reading_s + self.writing_s


def job_times(results, read_tokens: int, written_tokens: int) -> list[JobTime]:
    """The time of each runtime for this job, the fastest first; at the end those of which a speed is unknown."""
    times = []
    for one in results:
        known = None not in (one.reads_tokens_per_s, one.writes_tokens_per_s)
        parts = (read_tokens / one.reads_tokens_per_s, written_tokens / one.writes_tokens_per_s) if known else ()
        times.append(JobTime(one.name, *parts))
    return sorted(times, key=lambda time: float("inf") if time.total_s is None else time.total_s)


def who_wins(times: list[JobTime]) -> str:
    """One sentence: who is done first, and whether reading or writing decides."""
    measured = [time for time in times if time.total_s is not None]
    if not measured:
        return "None of these runtimes has both of its speeds measured, so none wins."
    first, reading = measured[0], measured[0].reading_s / measured[0].total_s
    longer, share = ("reading", percent(reading)) if reading >= 0.5 else ("writing", percent(1 - reading))
    took = seconds(first.total_s)
    if len(measured) == 1:
        return f"{first.name} is the only one measured, with {took}; {longer} is {share} of it."
    second = measured[1]
    if first.total_s == second.total_s:
        return f"{first.name} and {second.name} are level at {took}, so neither part decides."
    faster = second.reading_s - first.reading_s > second.writing_s - first.writing_s
    decides = "reading" if faster else "writing"
    told, gains = f"{first.name} wins with {took}, and {decides} decides", f"there it gains most on {second.name}"
    if longer == decides:
        return f"{told}: it is {share} of that time, and {gains}."
    return f"{told}: {gains}, although {longer} is {share} of that time."


class WorkloadBox(Live):
    """Choose how much is read and written, and see which runtime is done first.

    Each result has a `name`, `reads_tokens_per_s` and `writes_tokens_per_s`, None where it isn't known.
    `.times` holds what is shown, the fastest first.
    """

    def __init__(self, results):
        w = ipywidgets()
        self._results = listed(results, "result")
        wide = {"style": {"description_width": "120px"}, "layout": {"width": "480px"}}
        self.read, self.written = (
            w.SelectionSlider(options=[(f"{step:,}", step) for step in steps], value=value, description=name, **wide)
            for steps, value, name in zip(
                (READ_STEPS, WRITE_STEPS), FIXED, ("tokens to read", "tokens to write"), strict=True
            )
        )
        self.bars, self.remark = w.HTML(), w.HTML()
        for slider in (self.read, self.written):
            slider.observe(lambda _: self._draw(), names="value")
        self.box = w.VBox([self.read, self.written, self.bars, self.remark])
        self._draw()

    def _draw(self) -> None:
        self.times = job_times(self._results, self.read.value, self.written.value)
        self.bars.value = _bars(self.times)
        self.remark.value = paragraph(who_wins(self.times), role="status")

    def _fixed(self) -> tuple:
        """Heads, rows, title and sentence of the fixed job, wherever the sliders stand."""
        times = job_times(self._results, *FIXED)
        job = f"A fixed job: {FIXED[0]:,} tokens to read and {FIXED[1]:,} to write"
        title = f"{job} (run the notebook to choose your own)"
        return ("runtime", "in all", "reading", "writing"), list(map(_row, times)), title, who_wins(times)

    def static_text(self) -> str:
        heads, rows, title, said = self._fixed()
        return f"{title}\n\n{text_table(heads, rows)}\n\n{said}"

    def static_html(self) -> str:
        return html_table(*self._fixed())


def _row(time: JobTime) -> tuple[str, ...]:
    if time.total_s is None:
        return time.name, "absent", "", ""
    return time.name, *map(seconds, (time.total_s, time.reading_s, time.writing_s))


def _bars(times: list[JobTime]) -> str:
    full_s = _full_bar_s(times)
    rows = "".join(_bar(time, full_s) for time in times)
    swatch = '<span style="display: inline-block; width: 26px; height: 13px; margin: 0 6px 0 0; {}"></span>'
    reads = f"{swatch.format(_READS)}dark: reading the prompt"
    writes = f'<span style="margin-left: 18px">{swatch.format(_WRITES)}light, striped: writing the answer</span>'
    legend = f'<div style="font-size: 15px; line-height: 1.5">{reads}{writes}</div>'
    return f'{legend}<table style="font-size: 15px; border-collapse: collapse">{rows}</table>'


def _full_bar_s(times: list[JobTime]) -> float:
    """What a bar of full length stands for: the slowest, unless it would leave the others too short to compare."""
    totals = [time.total_s for time in times if time.total_s is not None]
    return min(max(totals), MOST_SPREAD * median(totals)) if totals else 0.0


def _bar(time: JobTime, full_s: float) -> str:
    cell = 'style="text-align: left; padding: 2px 12px 2px 0; white-space: nowrap; font-weight: normal'
    name = f'<th scope="row" {cell}">{escape(time.name)}</th>'
    if time.total_s is None:
        return f'<tr>{name}<td {cell}" colspan="2">{_ABSENT}</td></tr>'
    parts = "".join(
        f'<div style="width: {part_s / max(full_s, time.total_s):.2%}; {look}"></div>'
        for part_s, look in ((time.reading_s, _READS), (time.writing_s, _WRITES))
    )
    bar = f'<td {cell}; width: 400px" aria-hidden="true"><div style="display: flex; height: 18px">{parts}</div></td>'
    longer = ", longer than its bar" if time.total_s > full_s else ""
    words = (
        f"<b>{seconds(time.total_s)}</b> (reading {seconds(time.reading_s)}, writing {seconds(time.writing_s)}){longer}"
    )
    return f'<tr>{name}{bar}<td {cell}">{words}</td></tr>'

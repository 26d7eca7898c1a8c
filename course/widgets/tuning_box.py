"""Two knobs of LoRA, and what was measured at each of their places. No model is asked.

Without a kernel it reads as the table of all places.
"""

from collections.abc import Sequence

from course.live import FULL, Live, ipywidgets
from slmlab.show import Table


class TuningBox(Live):
    """`.rank` and `.rate` are the knobs; `.status` says what the training at this place gave."""

    def __init__(self, points: Sequence[dict]):
        w = ipywidgets()
        self.points = {(one["rank"], one["rate"]): one for one in points}
        tuned = [one for one in points if one["rank"] != "all"]
        ranks, rates = (list(dict.fromkeys(one[knob] for one in tuned)) for knob in ("rank", "rate"))
        size = {"layout": FULL, "style": {"description_width": "60px"}}
        self.rank = w.SelectionSlider(options=ranks, value=ranks[1], description="rank", **size)
        self.rate = w.SelectionSlider(options=rates, value=rates[0], description="rate", **size)
        for knob in (self.rank, self.rate):
            knob.observe(lambda _: self._show(), "value")
        self.lay_out(self.rank, self.rate, max_width="700px")
        self._show()

    def _show(self) -> None:
        one = self.points[self.rank.value, self.rate.value]
        told = f"Exact: {one['exact']}. Perplexity of other text: {one['perplexity']}."
        self.say(f"{told}\nName three fruits. → {one['name three fruits']}")

    def _table(self) -> Table:
        heads = ("rank", "rate", "exact", "perplexity", "name three fruits")
        rows = [tuple(str(one[head]).replace("\n", " / ") for head in heads) for one in self.points.values()]
        return Table(heads, rows)

    def static_text(self) -> str:
        return str(self._table())

    def static_html(self) -> str:
        return self._table()._repr_html_()

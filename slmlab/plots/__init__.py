"""Every plot by name: each takes records and returns matplotlib Axes with one sentence under them.

Pure, and cheap to import. `caption(ax)` gives the sentence as text.
"""

from slmlab.plots.answers import pictures
from slmlab.plots.answers import plot_next_tokens as next_tokens
from slmlab.plots.answers import plot_speeds as speeds
from slmlab.plots.answers import plot_timeline as timeline
from slmlab.plots.answers import plot_token_strip as token_strip
from slmlab.plots.models import plot_benchmarks as benchmarks
from slmlab.plots.models import plot_memory as memory
from slmlab.plots.models import plot_sizes as sizes
from slmlab.plots.style import caption

__all__ = ["benchmarks", "caption", "memory", "next_tokens", "pictures", "sizes", "speeds", "timeline", "token_strip"]

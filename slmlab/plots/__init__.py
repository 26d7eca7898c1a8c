"""Every plot by name: each takes records and returns matplotlib Axes with one sentence under them.

Pure, and cheap to import. `caption(ax)` gives the sentence as text.
"""

from slmlab.plots.answers import next_tokens, speeds, timeline, token_strip
from slmlab.plots.models import benchmarks, memory, sizes
from slmlab.plots.style import caption

__all__ = ["benchmarks", "caption", "memory", "next_tokens", "sizes", "speeds", "timeline", "token_strip"]

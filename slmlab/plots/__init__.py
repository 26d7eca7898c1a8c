"""Every plot by name: each takes records and gives a figure that shows itself, one sentence under it.

Pure, and cheap to import. A figure has `.ax` (matplotlib's), `.caption`, `.alt` and `.png()`.
"""

from slmlab.plots.answers import next_tokens, speeds, timeline, token_strip
from slmlab.plots.models import architecture, benchmarks, sizes

__all__ = ["architecture", "benchmarks", "next_tokens", "sizes", "speeds", "timeline", "token_strip"]

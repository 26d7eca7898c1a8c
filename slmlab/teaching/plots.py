"""Every plot by name: each takes records and returns matplotlib Axes with one sentence under them.

Pure, and cheap to import. `caption(ax)` gives the sentence as text.
"""

from slmlab.teaching.answer_plots import plot_next_tokens, plot_speeds, plot_timeline, plot_token_strip
from slmlab.teaching.drawing import caption
from slmlab.teaching.expert_plots import plot_expert_table, plot_following, plot_layers, plot_loads
from slmlab.teaching.model_plots import plot_benchmarks, plot_memory, plot_sizes
from slmlab.teaching.routing_plots import plot_routing
from slmlab.teaching.runtime_plots import plot_runtimes
from slmlab.teaching.vision_plots import plot_gaze, plot_patches, plot_pictures, plot_seen
from slmlab.teaching.vision_result_plots import plot_answers, plot_image_tokens, plot_scores

__all__ = [
    "caption",
    "plot_answers",
    "plot_benchmarks",
    "plot_expert_table",
    "plot_following",
    "plot_gaze",
    "plot_image_tokens",
    "plot_layers",
    "plot_loads",
    "plot_memory",
    "plot_next_tokens",
    "plot_patches",
    "plot_pictures",
    "plot_routing",
    "plot_runtimes",
    "plot_scores",
    "plot_seen",
    "plot_sizes",
    "plot_speeds",
    "plot_timeline",
    "plot_token_strip",
]

"""Plots of what happens inside: who works, where it looks."""

from course.inside.expert_plots import plot_expert_table as expert_table
from course.inside.expert_plots import plot_following as following
from course.inside.expert_plots import plot_layers as layers
from course.inside.expert_plots import plot_loads as loads
from course.inside.routing_plots import plot_routing as routing
from course.inside.vision_plots import plot_gaze as gaze
from course.inside.vision_plots import plot_patches as patches
from course.inside.vision_plots import plot_seen as seen

__all__ = ["expert_table", "following", "gaze", "layers", "loads", "patches", "routing", "seen"]

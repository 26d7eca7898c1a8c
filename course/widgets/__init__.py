"""Every live control by name: each works by mouse and keyboard in a running notebook, and reads as text elsewhere."""

from course.recordings import recorded
from course.widgets.ask_box import AskBox as ask_box
from course.widgets.chart_box import ChartBox as chart_box
from course.widgets.chat_box import ChatBox as chat_box
from course.widgets.playground import Playground as sampling_playground
from course.widgets.routing_box import RoutingBox as routing_box
from course.widgets.side_by_side import SideBySide as side_by_side
from course.widgets.tuning_box import TuningBox as tuning_box
from course.widgets.watch_training import watch_training
from course.widgets.workload_box import WorkloadBox as workload_box

# fmt: off
__all__ = [
    "ask_box", "chart_box", "chat_box", "recorded", "routing_box", "sampling_playground", "side_by_side", "tuning_box",
    "watch_training", "workload_box",
]

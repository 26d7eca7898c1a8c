"""Every live control by name: each works by mouse and keyboard in a running notebook, and reads as text elsewhere."""

from slmlab.teaching.answer_widget import ask_box
from slmlab.teaching.chart_widget import chart_box
from slmlab.teaching.playground_widget import sampling_playground
from slmlab.teaching.quiz_widget import quiz
from slmlab.teaching.routing_widget import routing_box
from slmlab.teaching.side_by_side_widget import side_by_side
from slmlab.teaching.training_view import watch_training
from slmlab.teaching.workload_widget import workload_box

__all__ = [
    "ask_box",
    "chart_box",
    "quiz",
    "routing_box",
    "sampling_playground",
    "side_by_side",
    "watch_training",
    "workload_box",
]

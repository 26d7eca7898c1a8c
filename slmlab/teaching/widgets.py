"""Every live control by name: each works by mouse and keyboard in a running notebook, and reads as text elsewhere."""

from slmlab.teaching.answer_widget import ask_box
from slmlab.teaching.playground_widget import sampling_playground
from slmlab.teaching.quiz_widget import quiz

__all__ = ["ask_box", "quiz", "sampling_playground"]

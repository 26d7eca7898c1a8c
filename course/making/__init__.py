"""Making a model: texts to learn from, a training that can be stopped and goes on, and a score in seconds."""

from course.making.chats import Chats
from course.making.texts import Task, marks, programs, read_notes, read_task, sentence, stories, tickets, turn
from course.making.training import Run, knobs, merged, place, train

__all__ = [
    "Chats", "Run", "Task", "knobs", "marks", "merged", "place", "programs",
    "read_notes", "read_task", "sentence", "stories", "tickets", "train", "turn",
]  # fmt: skip

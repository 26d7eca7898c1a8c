"""Making a model: texts to learn from, a training that can be stopped and goes on, and a reader for a task of your own.

    making.stories(2000)                          little stories, made from a seed
    making.tickets(100, of="test")                a shop's messages and their JSON, with words that no training has
    making.train("stories", model, loss, ...)     the steps of a training, with a bar
"""

from course.making.chats import Chats
from course.making.texts import Task, read_task, stories, tickets, turn
from course.making.training import Run, place, train

__all__ = ["Chats", "Run", "Task", "place", "read_task", "stories", "tickets", "train", "turn"]

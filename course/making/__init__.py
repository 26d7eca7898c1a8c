"""Making a model: texts to learn from, a training that can be stopped and goes on, and a reader for a task of your own.

    making.stories(2000)                          little stories, made from a seed
    making.tickets(100, of="test")                a shop's messages and their JSON, with words that no training has
    making.train("stories", model, loss, ...)     the steps of a training, with a bar
"""

from course.making.texts import stories, tickets
from course.making.training import Run, place, train

__all__ = ["Run", "place", "stories", "tickets", "train"]

"""Making a model: texts to learn from, a training that can be stopped and goes on, and a score in seconds.

making.stories(2000)                          little stories, made from a seed
making.tickets(100, of="test")                a shop's messages and their JSON, with words that no training has
making.read_notes("~/notes")                  a folder of your own, as texts by name
making.train("stories", model, loss, ...)     the steps of a training, with a bar
making.merged("smollm2-clerk")                a shipped adapter in its base, as a folder to load with precision="int8"
making.Chats(folder).exact(net, pairs)        how many answers a net would write as they are
"""

from course.making.chats import Chats
from course.making.texts import Task, marks, programs, read_notes, read_task, sentence, stories, tickets, turn
from course.making.training import Run, knobs, merged, place, train

__all__ = [
    "Chats", "Run", "Task", "knobs", "marks", "merged", "place", "programs",
    "read_notes", "read_task", "sentence", "stories", "tickets", "train", "turn",
]  # fmt: skip

"""What every engine offers a lesson, wherever the model runs: ask, chat, and settings checked before anything runs."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields

from slmlab.chat import as_messages
from slmlab.errors import BadRequest, nearest, quoted
from slmlab.records import Message, Reply, Sampling


class Engine(AbstractContextManager):
    """A model that answers. A runtime defines `_answer(messages, sampling, on_end)`, which gives a Reply."""

    engine: str  # the runtime's name
    precision: str | None = None  # of the weights
    context: int | None = None  # how many tokens it can hold
    seats: int = 1  # how many threads may ask at the same time
    sees: bool = False  # whether it looks at pictures itself

    def __init__(self, card):
        self.card, self.name = card, card.id

    def ask(self, question: str | Message | Iterable, system: str | None = None, images=None, **settings) -> Reply:
        """Answer a question, or a conversation that ends with the user's turn. Settings are those of Sampling;
        `images` are paths, bytes, PIL images, arrays or figures. Of a GIF or a video a few frames are shown."""
        messages = as_messages(question, system, images)
        return self._answer(messages, as_sampling(settings), None)

    def chat(self, *, system: str | None = None, **settings) -> "Conversation":
        """A conversation: each `.ask` sees the turns before it, with their pictures."""
        return Conversation(self, system, settings)

    @contextmanager
    def until(self, gone: threading.Event) -> Iterator[None]:
        """Inside, an answer that this thread reads may fail as soon as `gone` is set."""
        yield

    def close(self) -> None:
        """Free what the model holds. Using it afterwards is refused."""

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        context = f"context {self.context:,}" if self.context else None
        return " · ".join(filter(None, (self.name, self.engine, self.precision, context)))


class Conversation:
    """The turns so far. One joins `messages` when its answer has been read, at the latest by the next `.ask`."""

    def __init__(self, model: Engine, system: str | None, settings: dict):
        as_sampling(settings)  # refused now
        self.model, self.settings = model, settings
        self.messages: list[Message] = [] if system is None else [Message("system", system)]
        self._latest: Reply | None = None

    def ask(self, question: str, images=None, **settings) -> Reply:
        """The next turn. An interrupted or failed answer joins the conversation with the text that was read."""
        turn, settings = as_messages(question, images=images), self.settings | settings
        if self._latest and self._latest.finish_reason is None:
            list(self._latest)  # an answer that nobody has read is read now, so that turns keep their order

        def remember(reply: Reply):
            if reply.so_far:
                self.messages += [*turn, Message("assistant", reply.so_far)]

        self._latest = self.model._answer([*self.messages, *turn], as_sampling(settings), remember)
        return self._latest


def as_sampling(settings: dict) -> Sampling:
    known = {one.name: one.name for one in fields(Sampling) if one.compare} | {"max_completion_tokens": "max_tokens"}
    for name in settings:
        if name not in known:
            raise BadRequest(f"Unknown setting {quoted(name)}. {nearest(name, list(known))}")
    asked = {known[name]: name for name in settings}  # of two names of one setting, the later
    return Sampling(**{field: settings[name] for field, name in asked.items()}, asked=tuple(asked.values()))

"""What every engine offers a lesson, wherever the model runs: ask, chat, and settings checked before anything runs.

Knows nothing about runtimes: a runtime answers messages with a Reply, the rest is here.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

from slmlab.chat import as_messages
from slmlab.errors import BadRequest, nearest, quoted
from slmlab.pictures import as_pictures
from slmlab.records import Message, Reply, Sampling


class Engine:
    """A model that answers. `engine` names the runtime, `precision` the weights, `context` the tokens it can hold,
    `seats` how many threads may ask it at the same time, `sees` whether it looks at pictures itself.

    A runtime defines `_answer(messages, sampling, scorer, on_end)`, which gives a Reply."""

    engine: str
    precision: str | None = None
    context: int | None = None
    seats: int = 1
    sees: bool = False

    def __init__(self, card):
        self.card = card
        self.name = card.id

    def ask(self, question: str | Message | Iterable, system: str | None = None, images=None, **settings) -> Reply:
        """Answer a question, or a conversation that ends with the user's turn. Settings are those of Sampling.

        `images` are pictures that go with the question: paths, bytes, PIL images, arrays or figures; of a GIF or a
        video, a few frames."""
        scorer = settings.pop("scorer", None)
        messages = with_images(as_messages(question, system), images)
        return self._answer(messages, as_sampling(settings), scorer, None)

    def chat(self, question=None, *, system: str | None = None, images=None, **settings) -> "Conversation":
        """A conversation: each `.ask` sees the turns before it. With a question, the first turn is asked at once,
        and `.show()` or `.text` reads its answer; `images` go with the first question."""
        conversation = Conversation(self, system, settings, images)
        if question is not None:
            conversation.ask(question)
        return conversation

    @contextmanager
    def until(self, gone: threading.Event) -> Iterator[None]:
        """Inside, an answer that this thread reads may fail as soon as `gone` is set; an engine need not look at it."""
        yield

    def close(self) -> None:
        """Free what the model holds. Using it afterwards is refused."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        parts = (self.name, self.engine, self.precision, f"context {self.context:,}" if self.context else None)
        return " · ".join(part for part in parts if part)


class Conversation:
    """Turns so far, and the way to take the next one. A turn joins `messages` when its answer has been read, at
    the latest by the next `.ask`. `reply` is the latest answer; `.show()` and `.text` read it."""

    def __init__(self, model: Engine, system: str | None = None, settings: dict | None = None, images=None):
        self.model = model
        self.settings = settings or {}
        self.reply: Reply | None = None
        self._images = () if images is None else as_pictures(images)
        as_sampling({name: self.settings[name] for name in self.settings if name != "scorer"})  # refused now
        self.messages: list[Message] = [] if system is None else [Message("system", system)]

    def ask(self, question: str, images: Iterable | None = None, **settings) -> Reply:
        """The next turn. An interrupted or failed answer joins the conversation with the text that was read."""
        turn = as_messages(question)
        if self.reply and self.reply.finish_reason is None:
            list(self.reply)  # an answer that nobody has read is read now, so that turns keep their order
        turn = with_images(with_images(turn, self._images), images)
        merged = self.settings | settings
        scorer = merged.pop("scorer", None)

        def remember(reply: Reply):
            if reply.so_far:
                self.messages += [*turn, Message("assistant", reply.so_far)]
                self._images = ()  # until then they wait for a question that is answered

        self.reply = self.model._answer([*self.messages, *turn], as_sampling(merged), scorer, remember)
        return self.reply

    @property
    def text(self) -> str:
        """The latest answer; '' before the first question."""
        return self.reply.text if self.reply else ""

    def show(self) -> None:
        """Print the latest answer as it arrives."""
        if self.reply:
            self.reply.show()

    def __repr__(self):
        return "\n".join(f"{one.role}: {one.content}" for one in self.messages) or "Conversation(no turn yet)"


def with_images(messages: list[Message], images) -> list[Message]:
    """The messages, with pictures beside the last one."""
    if images is None:
        return messages
    last = messages[-1]
    return [*messages[:-1], replace(last, images=(*last.images, *as_pictures(images)))]


def as_sampling(settings: dict) -> Sampling:
    known = [field.name for field in fields(Sampling)]
    for name in settings:
        if name not in known:
            raise BadRequest(f"Unknown setting {quoted(name)}. {nearest(name, [*known, 'scorer'])}")
    return Sampling(**settings)

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
from slmlab.records import Message, Sampling
from slmlab.reply import Reply
from slmlab.routing import not_a_mixture


class Engine:
    """A model that answers. `engine` names the runtime, `precision` the weights, `context` the tokens it can hold,
    `seats` how many threads may ask it at the same time."""

    engine: str
    precision: str | None = None
    context: int | None = None
    seats: int = 1

    def __init__(self, card):
        self.card = card
        self.name = card.id

    def ask(
        self,
        question: str | Message | Iterable[Message | dict],
        system: str | None = None,
        images: Iterable | None = None,
        **settings,
    ) -> Reply:
        """Answer a question, or a conversation that ends with the user's turn. Settings are those of Sampling.

        `images` are pictures that go with the question: paths, bytes, PIL images, arrays or figures."""
        scorer = settings.pop("scorer", None)
        messages = as_messages(question, system)
        if images is not None:
            messages[-1] = replace(messages[-1], images=(*messages[-1].images, *as_pictures(images)))
        return self._answer(messages, as_sampling(settings), scorer, None)

    def chat(self, system: str | None = None, **settings) -> "Conversation":
        """A conversation: each `.ask` sees the turns before it."""
        return Conversation(self, system, settings)

    def _answer(self, messages: list[Message], sampling: Sampling, scorer, on_end) -> Reply:
        raise TypeError(f"{type(self).__name__} has to define _answer(messages, sampling, scorer, on_end) -> Reply")

    def routing(self, text: str):
        """Which experts each token of a text goes through, for a mixture of experts that Transformers runs."""
        if self.card.kind != "moe":
            raise BadRequest(not_a_mixture(self.name))
        raise BadRequest(f"{self.name} doesn't show its experts here: load it with engine='transformers' for that.")

    def without_expert(self, layer: int, expert):
        """A block in which an expert is switched off, for a mixture of experts that Transformers runs."""
        return self.routing("")

    def untrained(self, seed: int = 0) -> "Engine":
        """The model before its training, where Transformers runs it."""
        raise BadRequest(f"{self.name} has no twin here: load it with engine='transformers' for that.")

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
    """Turns so far, and the way to take the next one. A turn joins `messages` when its answer has been read."""

    def __init__(self, model: Engine, system: str | None = None, settings: dict | None = None):
        self.model = model
        self.settings = settings or {}
        as_sampling(
            {name: value for name, value in self.settings.items() if name != "scorer"}
        )  # refused now, not later
        self.messages: list[Message] = [] if system is None else [Message("system", system)]

    def ask(self, question: str, **settings) -> Reply:
        """The next turn. An interrupted or failed answer joins the conversation with the text that was read."""
        turn = as_messages(question)
        merged = self.settings | settings
        scorer = merged.pop("scorer", None)

        def remember(reply: Reply):
            self.messages += [*turn, Message("assistant", reply.so_far)] if reply.so_far else []

        return self.model._answer([*self.messages, *turn], as_sampling(merged), scorer, remember)

    def __repr__(self):
        return "\n".join(f"{one.role}: {one.content}" for one in self.messages) or "Conversation(no turn yet)"


def as_sampling(settings: dict) -> Sampling:
    known = [field.name for field in fields(Sampling)]
    for name in settings:
        if name not in known:
            raise BadRequest(f"Unknown setting {quoted(name)}. {nearest(name, [*known, 'scorer'])}")
    return Sampling(**settings)

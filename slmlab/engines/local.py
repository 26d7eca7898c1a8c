"""What the engines of this machine share: prompt to ids, the token loop, text out of ids, the KV cache between turns.

A runtime gives a Session (ids in, logits out) and its own beam search; which it is, nothing here knows.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from os.path import commonprefix
from pathlib import Path
from threading import RLock
from time import perf_counter

import numpy as np

from slmlab.chat import ChatFormat, StopWatcher, TokenPiece, as_messages
from slmlab.engines.base import Engine, as_sampling
from slmlab.errors import BadRequest, SlmLabError
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token, TokenProbability
from slmlab.sampling import Chooser, Constraint, filter_probabilities, log_softmax, softmax

SEEING = "tiny-vlm"  # the course's own model that sees


@dataclass(frozen=True)
class ImageInputs:
    """Pictures that stand in a prompt, and what the runtime made of them: two are equal if their pictures are."""

    pictures: tuple  # of slmlab.pictures.Picture
    inputs: Mapping[str, object] = field(compare=False, repr=False, default_factory=dict)


class Session:
    """One text. A runtime defines `_feed(ids)`, `logits()` and, if it reads in blocks, `rewind(count)`."""

    block: int | None = None  # ids that are read at a time, where a runtime reads in blocks

    def __init__(self, capacity: int):
        self.ids: list[int] = []
        self.in_blocks = 0  # ids from the first on that were read in whole blocks, as others would read them
        self.capacity = capacity
        self.image_inputs: ImageInputs | None = None  # set before the first ids

    def append(self, ids: Sequence[int]) -> None:
        size = self.block or len(ids)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            if self.block == len(part) and self.in_blocks == len(self.ids):
                self.in_blocks += len(part)
            self.ids.extend(part)
            self._feed(part)

    def close(self) -> None:
        """Give back what the runtime holds for this text."""

    def take_likeliest(self) -> int:
        id = int(self.logits().argmax())
        self.append([id])
        return id


class LocalEngine(Engine):
    """An engine whose weights are in a folder of this machine. A runtime defines `session(capacity)`,
    `_beams(ids, max_new, sampling)`, `logits(ids)` with blocks of a row for each id, `_see(messages)` if it sees."""

    def __init__(self, card, folder: Path, precision: str):
        super().__init__(card)
        self.folder, self.precision = folder, precision
        self.format = ChatFormat(folder)
        self.tokens, self.ids = self.format.pieces, self.format.ids  # of a text
        self._lock, self._closed, self._process = RLock(), False, os.getpid()
        self._cached_session: Session | None = None
        self._weights = 0  # goes up when they change: what was read before is of no use afterwards

    def stream(self, ids: list[int], sampling: Sampling, weights=None, images=None, constraint=None) -> Iterator[Event]:
        """The primitive: a Start, a Token for each id as soon as it is known, an End."""
        weights = self._weights if weights is None else weights  # those that the question was put to
        self._check_open(weights)
        began = perf_counter()
        max_new = min(sampling.max_tokens, self.context - len(ids))
        if sampling.beams > 1:
            yield Start(began, len(ids), streamed=False)
            found = self._beams(ids, max_new, sampling)
            yield from self._write([(id, None) for id in found], max_new, sampling)
            return
        capacity = capacity_for(len(ids) + max_new, self.context)
        session = self._take_cached(ids, max_new, images) or self.session(capacity)
        session.image_inputs, finished = images, False
        try:
            # 1) read the prompt, without what the answer before has read of it
            yield Start(began, len(ids), reused_tokens=len(session.ids))
            session.append(ids[len(session.ids) :])
            # 2) to 5) an id, its text, whether the answer ends, a token; and again
            for event in self._write(choose(session, sampling, constraint), max_new, sampling):
                yield event
                self._check_open(weights)  # the reader may have closed the model meanwhile
            finished = True
        finally:
            # 6) keep what was read for the next turn
            self._keep_or_close(session, finished and weights == self._weights)

    def _write(self, chosen: Iterable, max_new: int, sampling: Sampling) -> Iterator[Event]:
        """Ids to tokens, until the model ends, a stop text is complete, or the answer is long enough."""
        reader, watcher, count = self.format.reader(), StopWatcher(sampling.stop), 0
        for count, (id, logprobs) in enumerate(chosen, start=1):
            now = perf_counter()  # 2) the id is chosen: this is its moment
            # 3) a character waits for its last byte, and what may begin a stop text waits for the rest of it
            ended = id in self.format.end_ids
            text = "" if ended else watcher.read(reader.read(id))
            # 4) why the answer ends here, if it does; what was held back is part of it after all
            reason = "end" if ended else "stop" if watcher.stopped else "length" if count == max_new else None
            text += watcher.held if reason else ""
            # 5) the token, with what else was asked about it
            logprob = None if logprobs is None else float(logprobs[id])
            top = sampling.top_logprobs and likeliest(self.format, np.exp(logprobs), sampling.top_logprobs)
            yield Token(id, text, now, logprob, top or ())
            if reason:
                yield End(now, reason)
                return
        yield End(perf_counter(), "end" if count < max_new else "length")  # a beam search that ended on its own

    def _take_cached(self, ids: Sequence[int], max_new: int, image_inputs: ImageInputs | None) -> Session | None:
        """The session of the answer before, as far as this prompt goes on from it: all of it, or the blocks that both
        prompts begin with. No less: on a quantized model ids read one by one and in a block differ in the last digits,
        and the same question must give the same answer whatever was asked before."""
        with self._lock:
            cached, self._cached_session = self._cached_session, None
        if cached is None or cached.image_inputs != image_inputs or len(ids) + max_new > cached.capacity:
            return None
        shared = shared_length(cached.ids, ids)
        if shared == len(cached.ids) < len(ids):
            return cached
        size = cached.block or 1
        kept = min(cached.in_blocks, shared, len(ids) - 1) // size * size
        if kept:
            cached.rewind(kept)
        return cached if kept else None

    def _keep_or_close(self, session: Session, finished: bool) -> None:
        """Keep the session of a finished answer for the next turn; one that was left early is of no use."""
        if finished and not self._closed:
            self._cached_session = session

    def prompt(self, question, system: str | None = None, images=None) -> str:
        """The text that the model is really given for a question or a list of messages."""
        return self._prompt(as_messages(question, system, images))

    def _prompt(self, messages: list[Message]) -> str:
        if any(message.images for message in messages):
            return self.format.marked(self._look(messages)[0])  # each picture as the tokens that stand for it
        return self.format.prompt(messages)

    def complete(self, text: str | Sequence[int], **settings) -> Reply:
        """Go on writing a text (or its ids) as it stands, with no chat template."""
        ids = self._fitting(list(text)) if isinstance(text, list | tuple) else self._ids_of(text)
        return self._reply(ids, as_sampling(settings), None)

    def piece(self, id: int) -> str:
        return self.format.piece(id).text

    def next_token_probabilities(self, text: str, top: int = 10, sampling=None) -> list[TokenProbability]:
        """The likeliest next tokens after a text (for a chat's: .prompt), with a Sampling as it filters them."""
        ids = self._ids_of(text)
        with closing(self.session(len(ids) + 1)) as session:
            session.append(ids)
            logits = session.logits()
        probabilities = filter_probabilities(logits, sampling) if sampling else softmax(logits)
        return list(likeliest(self.format, probabilities, max(1, top)))

    def logprobs(self, text: str, after: str = "") -> list[tuple[TokenPiece, float | None]]:
        """Each token of a text with its log-probability, there or after another text; None for the very first."""
        ids = self._ids_of(after + text)
        given = shared_length(self.format.ids(after), ids) if after else 0
        found = [None]
        for block in self.logits(ids):
            following = ids[len(found) : len(found) + len(block)]
            rows = log_softmax(block[: len(following)])
            found += rows[np.arange(len(following)), following].tolist()
        return [(self.format.piece(id), value) for id, value in zip(ids, found, strict=True)][given:]

    def top1(self, text: str) -> list[int]:
        """The id that the model holds likeliest after each token of a text."""
        return [int(id) for block in self.logits(self._ids_of(text)) for id in block.argmax(axis=-1)]

    def forget(self, changed: bool = False) -> None:
        """Read the next prompt afresh, whatever is in the KV cache. `changed`: the model itself is another now."""
        with self._lock:
            self._cached_session = None
            self._weights += changed

    def close(self) -> None:
        self._closed = True
        with self._lock:  # what is under way ends first
            self._cached_session = self._model = self._reader = None

    def _answer(self, messages: list[Message], sampling: Sampling, on_end) -> Reply:
        ids, image_inputs = self._look(messages)
        return self._reply(ids, sampling, on_end, image_inputs)

    def _reply(self, ids: list[int], sampling: Sampling, on_end, image_inputs=None) -> Reply:
        if sampling.beams > 1 and image_inputs:
            raise BadRequest("Beam search takes no pictures here: set beams=1.")
        weights, constraint = self._weights, None
        if sampling.schema is not None or sampling.grammar is not None:
            constraint = Constraint(self.format.constraint_tokens, sampling.schema, sampling.grammar)
        return Reply(lambda: self.stream(ids, sampling, weights, image_inputs, constraint), self.name, on_end)

    def _look(self, messages: list[Message]) -> tuple[list[int], ImageInputs | None]:
        """The ids of a conversation, and what the runtime made of the pictures in it."""
        pictures = tuple(picture for message in messages for picture in message.images)
        if not pictures:
            return self._fitting(self.format.prompt_ids(messages)), None
        if not self.sees:
            raise BadRequest(f"{self.name} reads text only: it can't see a picture. Ask slmlab.load({SEEING!r}).")
        self._ids_of(self.format.prompt(messages))  # refuses what is wrong with the text alone
        if found := self.format.marks_in(messages):  # beside pictures, it would be one
            raise BadRequest(f"The text holds {found[0]}, which {self.name} takes for a mark of its own. Leave it out.")
        try:
            ids, inputs = self._see(messages)
        except Exception as fault:  # of any type: a picture that the runtime can't cut up
            raise BadRequest(f"{self.name} can't take these pictures: {fault}") from fault
        self._refuse_overfull(len(ids), len(pictures))
        return ids, ImageInputs(pictures, inputs)

    def _ids_of(self, text: str) -> list[int]:
        """The ids of a prompt, refused here when empty or too long, before anything runs."""
        if not isinstance(text, str) or not text:
            raise BadRequest("The prompt is empty. Give the model some text to go on from.")
        return self._fitting(self.format.ids(text))

    def _fitting(self, ids: list[int]) -> list[int]:
        self._check_open()
        if not ids or not 0 <= min(ids) <= max(ids) < self.format.vocabulary:
            raise BadRequest(f"A prompt has ids from 0 to {self.format.vocabulary - 1:,}, and at least one.")
        self._refuse_overfull(len(ids))
        return ids

    def _refuse_overfull(self, tokens: int, pictures: int = 0) -> None:
        if tokens >= self.context:
            size = f"{tokens:,} tokens" + (f", {pictures} pictures among them," if pictures else "")
            limit = f"{self.name} holds {self.context:,}, answer included"
            raise BadRequest(f"The prompt has {size} and {limit}. Make it shorter, or ask about each part.")

    def _check_open(self, weights: int | None = None) -> None:
        if self._closed:
            raise SlmLabError(f"This model was closed. Load it again: slmlab.load({self.card.id!r})")
        if os.getpid() != self._process:  # the threads that compute stayed in the process that loaded it
            raise SlmLabError("A model doesn't work in a forked process: load it there, or start processes by 'spawn'.")
        if weights not in (None, self._weights):
            raise BadRequest("The model has changed since this was asked. Read a reply inside its own `with` block.")


def choose(session: Session, sampling: Sampling, constraint: Constraint | None) -> Iterator[tuple]:
    """Ids one after another, each with the log-probabilities of its place where asked for."""
    chooser, scorer, begun = Chooser(sampling), sampling.scorer, len(session.ids)
    while chooser.is_greedy and not (sampling.logprobs or scorer or constraint):
        yield session.take_likeliest(), None
    while True:
        logits = session.logits()
        scores = logits if scorer is None else np.asarray(scorer(tuple(session.ids), logits.copy()), float)
        if scores.shape != logits.shape:
            raise BadRequest(f"A scorer returns one score for each of {len(logits):,} ids, not shape {scores.shape}.")
        scores = constraint.masked(scores) if constraint else scores
        id = chooser.choose(scores, session.ids, session.ids[begun:])
        if constraint:
            constraint.take(id)
        yield id, log_softmax(logits) if sampling.logprobs else None
        session.append([id])


def likeliest(format: ChatFormat, probabilities: np.ndarray, top: int) -> tuple[TokenProbability, ...]:
    best = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(TokenProbability(int(id), format.piece(int(id)).text, float(probabilities[id])) for id in best)


def capacity_for(needed: int, context: int) -> int:
    """Room for this turn and some turns to come, in doublings: the KV cache is allocated whole."""
    return min(max(512, 1 << (needed - 1).bit_length()), context)


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences have in common at the beginning: a token across the border belongs to the second."""
    return len(commonprefix([list(first), list(second)]))

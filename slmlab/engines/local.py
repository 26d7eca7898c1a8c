"""What the engines of this machine share: prompt to ids, the token loop, text out of ids, the KV cache between turns.

A runtime gives a Session (ids in, logits out) and its own beam search; nothing here knows which runtime it is.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import RLock
from time import perf_counter

import numpy as np

from slmlab.chat import ChatFormat, StopWatcher, TokenPiece, as_messages
from slmlab.engines.contract import Engine, as_sampling
from slmlab.engines.session import Session, capacity_for
from slmlab.errors import BadRequest, SlmLabError, TooLong
from slmlab.records import End, Event, Message, Sampling, Start, Token, TokenProbability
from slmlab.reply import Reply
from slmlab.sampling import Chooser, filter_probabilities, log_softmax, softmax

Scorer = Callable[[Sequence[int], np.ndarray], np.ndarray]


class LocalEngine(Engine):
    """An engine whose weights are in a folder of this machine."""

    def __init__(self, card, folder: Path, precision: str):
        super().__init__(card)
        self.precision = precision
        self.format = ChatFormat(folder)
        self._lock = RLock()
        self._spare: Session | None = None
        self._generation = 0  # of the weights: what one generation cached is of no use to the next
        self._closed = False

    # What a runtime defines

    def _session(self, capacity: int) -> Session:
        raise TypeError("a runtime defines _session")

    def _beams(self, ids: Sequence[int], room: int, sampling: Sampling) -> list[int]:
        raise TypeError("a runtime defines _beams")

    def _logits_of(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        """Blocks of logits that together have one row for each id."""
        raise TypeError("a runtime defines _logits_of")

    # What a lesson uses

    def prompt(self, question, system: str | None = None) -> str:
        """The text that the model is really given for a question or a list of messages."""
        return self.format.prompt(as_messages(question, system))

    def complete(self, text: str, *, scorer: Scorer | None = None, **settings) -> Reply:
        """Go on writing a text as it stands, with no chat template."""
        return self._reply(text, as_sampling(settings), scorer, None)

    def tokens(self, text: str) -> list[TokenPiece]:
        """The tokens that a text is cut into."""
        return self.format.pieces(text)

    def next_token_probabilities(
        self, text: str, top: int = 10, sampling: Sampling | None = None
    ) -> list[TokenProbability]:
        """The likeliest next tokens after a text (see .prompt for a chat's).

        With a sampling, after its temperature, top-k and top-p."""
        ids = self._ids_of(text)
        session = self._session(capacity=len(ids) + 1)
        try:
            session.append(ids)
            logits = session.logits()
        finally:
            session.close()
        probabilities = filter_probabilities(logits, sampling) if sampling else softmax(logits)
        return list(self._likeliest(probabilities, max(1, top)))

    def _likeliest(self, probabilities: np.ndarray, top: int) -> tuple[TokenProbability, ...]:
        best = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(
            TokenProbability(int(id), self.format.piece(int(id)).text, float(probabilities[id])) for id in best
        )

    def logprobs(self, text: str, after: str = "") -> list[tuple[TokenPiece, float | None]]:
        """Each token of a text with the log-probability that the model gave it, there or after another text.

        None for the very first, which nothing precedes."""
        ids = self._ids_of(after + text)
        given = _shared(self.format.ids(after), ids) if after else 0
        found, row = [None], 0
        for block in self._logits_of(ids):
            following = ids[row + 1 : row + 1 + len(block)]
            found += [float(v) for v in log_softmax(block[: len(following)])[np.arange(len(following)), following]]
            row += len(block)
        return [(self.format.piece(id), value) for id, value in zip(ids, found, strict=True)][given:]

    def favourites(self, text: str) -> list[int]:
        """The id that the model holds likeliest after each token of a text."""
        return [int(id) for block in self._logits_of(self._ids_of(text)) for id in block.argmax(axis=-1)]

    def close(self) -> None:
        self._closed, self._spare = True, None

    # The road

    def _answer(self, messages: list[Message], sampling: Sampling, scorer, on_end) -> Reply:
        if any(message.images for message in messages):
            raise BadRequest(f"{self.name} reads text only: it can't see a picture. Ask a vision model.")
        self._refuse_endless(sum(len(message.content) for message in messages), len(messages))
        return self._reply(self.format.prompt(messages), sampling, scorer, on_end)

    def _reply(self, text: str, sampling: Sampling, scorer: Scorer | None, on_end) -> Reply:
        if scorer is not None and not callable(scorer):
            raise BadRequest("A scorer is a function of (ids, logits) that gives logits.")
        if scorer and sampling.beams > 1:
            raise BadRequest("A scorer changes one step at a time and beam search weighs many: set beams=1.")
        ids = self._ids_of(text)
        asked = self._generation
        return Reply(lambda: self.stream(ids, sampling, scorer, asked), self.name, on_end)

    def _ids_of(self, text: str) -> list[int]:
        """The ids of a prompt, refused here when empty or too long, before anything runs."""
        self._check_open()
        if not isinstance(text, str) or not text:
            raise BadRequest("The prompt is empty. Give the model some text to go on from.")
        self._refuse_endless(len(text))
        ids = self.format.ids(text)
        if len(ids) >= self.context:
            raise TooLong(
                f"The prompt has {len(ids):,} tokens and {self.name} holds {self.context:,}, answer included. "
                "Shorten it, or split it and ask about each part."
            )
        return ids

    def _refuse_endless(self, characters: int, messages: int = 1) -> None:
        """Refuse what can't fit however it is cut into tokens: counting them would take minutes and gigabytes."""
        if characters > self.context * self.format.longest_token or messages > self.context:
            what = f"{characters:,} characters" if messages <= self.context else f"{messages:,} messages"
            raise TooLong(
                f"The prompt has {what} and {self.name} holds {self.context:,} tokens, answer included. "
                "Shorten it, or split it and ask about each part."
            )

    def _check_same(self, generation: int) -> None:
        self._check_open()
        if generation != self._generation:
            raise BadRequest(
                "The model has changed since this was asked: an expert was switched off or on. Read a reply inside the "
                "block that it is asked in, with .text or .show()."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise SlmLabError(f"This model was closed. Load it again: slmlab.load({self.card.id!r})")

    def stream(
        self, ids: Sequence[int], sampling: Sampling, scorer: Scorer | None = None, asked: int | None = None
    ) -> Iterator[Event]:
        """The primitive: a Start, a Token for each id as soon as it is known, an End.

        `asked` is the generation of the weights that the question was put to, if that is earlier than the reading."""
        generation = self._generation if asked is None else asked
        self._check_same(generation)
        began = perf_counter()
        room = min(sampling.max_tokens, self.context - len(ids))
        if sampling.beams > 1:
            yield Start(began, len(ids), streamed=False)
            chosen = ((id, None) for id in self._beams(ids, room, sampling))
            yield from self._write(chosen, room, sampling)
            return
        session = self._take_spare(ids, room) or self._session(capacity_for(len(ids) + room, self.context))
        finished = False
        try:
            yield Start(began, len(ids), reused_tokens=len(session.ids))
            session.append(ids[len(session.ids) :])
            for event in self._write(self._choose(session, sampling, scorer), room, sampling):
                self._check_same(generation)
                yield event
            finished = True
        finally:
            self._put_away(session, finished and generation == self._generation)

    def _forget(self) -> None:
        """Nothing that was cached so far is used again: the weights are not what they were."""
        with self._lock:
            self._generation += 1
            self._spare = None

    def _put_away(self, session: Session, finished: bool) -> None:
        """Keep the session of a finished answer for the next turn; one that was left early is of no more use."""
        if finished and not self._closed:
            self._spare = session
        else:
            session.close()

    def _choose(self, session: Session, sampling: Sampling, scorer: Scorer | None):
        """Ids one after another, each with the log-probabilities of its place where asked for."""
        plain = sampling.greedy and sampling.repetition_penalty == 1.0 and not sampling.logprobs and scorer is None
        while plain:
            self._check_open()
            yield session.take_likeliest(), None
        chooser = Chooser(sampling)
        while True:
            self._check_open()
            logits = session.logits()
            scores = logits if scorer is None else _checked(scorer(tuple(session.ids), logits.copy()), logits)
            id = chooser.choose(scores, session.ids)
            yield id, log_softmax(logits) if sampling.logprobs else None
            session.append([id])

    def _write(self, chosen, room: int, sampling: Sampling) -> Iterator[Event]:
        """Ids to tokens with text, until the model ends, a stop text is complete, or the room is used up."""
        reader, watcher = self.format.reader(), StopWatcher(sampling.stop)
        count = 0
        for count, (id, logprobs) in enumerate(chosen, start=1):
            now = perf_counter()
            ended = id in self.format.end_ids
            text = "" if ended else watcher.read(reader.read(id))
            reason = "end" if ended else "stop" if watcher.stopped else "length" if count == room else None
            logprob = None if logprobs is None else float(logprobs[id])
            top = self._likeliest(np.exp(logprobs), sampling.top_logprobs) if sampling.top_logprobs else ()
            yield Token(id, text + watcher.rest() if reason else text, now, logprob, top)
            if reason:
                yield End(now, reason)
                return
        yield End(perf_counter(), "end" if count < room else "length")  # a beam search that ended on its own

    def _take_spare(self, ids: Sequence[int], room: int) -> Session | None:
        """The session of the turn before, when this prompt goes on from all of it: no second reading is needed.

        Only a true continuation counts: ids read one by one and in a block differ in the last digits on int8,
        and the same question must give the same answer whatever was asked before.
        """
        with self._lock:
            spare, self._spare = self._spare, None
        if spare and len(spare.ids) < len(ids) and spare.ids == list(ids[: len(spare.ids)]):
            return spare if len(ids) + room <= spare.capacity else None
        return None


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences have in common at the beginning: a token across the border belongs to the second."""
    return next(
        (place for place, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first)
    )


def _checked(scores, logits: np.ndarray) -> np.ndarray:
    try:
        scores = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise BadRequest(f"A scorer returns numbers, one score for each id: {fault}.") from fault
    if scores.shape != logits.shape:
        raise BadRequest(f"A scorer returns one score for each of {len(logits):,} ids, not shape {scores.shape}.")
    return scores

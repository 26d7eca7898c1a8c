"""What the engines of this machine share: prompt to ids, the token loop, text out of ids, the KV cache between turns.

A runtime gives a Session (ids in, logits out) and its own beam search; nothing here knows which runtime it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from time import perf_counter

import numpy as np

from slmlab.chat import ChatFormat, StopWatcher, TokenPiece, as_messages
from slmlab.engines.base import Engine, as_sampling, with_images
from slmlab.errors import BadRequest, SlmLabError
from slmlab.pictures import Picture
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token, TokenProbability
from slmlab.sampling import Chooser, filter_probabilities, log_softmax, softmax


@dataclass(frozen=True)
class Sight:
    """Pictures that stand in a prompt, and what the runtime made of them. The same pictures are the same sight."""

    pictures: tuple[Picture, ...]
    inputs: Mapping[str, object] = field(compare=False, repr=False, default_factory=dict)


class Session:
    """One text being read and written: the ids the runtime has taken in, and the logits that follow them."""

    block: int | None = None  # ids that the runtime reads at a time, where it is asked to read in blocks

    def __init__(self, capacity: int):
        self.ids: list[int] = []
        self.whole = 0  # ids from the first on that were read in whole blocks, as in every text that begins with them
        self.capacity = capacity
        self.sight: Sight | None = None  # set before the first ids

    def append(self, ids: Sequence[int]) -> None:
        size = self.block or len(ids)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            if self.block == len(part) and self.whole == len(self.ids):
                self.whole += len(part)
            self.ids.extend(part)
            self._feed(part)

    def _feed(self, ids: Sequence[int]) -> None:
        raise TypeError("a runtime's session defines _feed")

    def logits(self) -> np.ndarray:
        """The logits after the last id, one number for each id of the vocabulary."""
        raise TypeError("a runtime's session defines logits")

    def rewind(self, count: int) -> None:
        """Go back to the first `count` ids, all of them read in whole blocks."""
        raise TypeError("a runtime's session that reads in blocks defines rewind")

    def close(self) -> None:
        """Give back what the runtime holds for this text."""

    def take_likeliest(self) -> int:
        """Choose the likeliest next id and take it in: a runtime may do so without handing its logits over."""
        id = int(np.argmax(self.logits()))
        self.append([id])
        return id


def capacity_for(needed: int, context: int) -> int:
    """Room for this turn and some turns to come, in doublings: the KV cache is allocated whole."""
    size = 512
    while size < needed:
        size *= 2
    return min(size, context)


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences have in common at the beginning: a token across the border belongs to the second."""
    return next(
        (place for place, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(second)),
    )


Scorer = Callable[[Sequence[int], np.ndarray], np.ndarray]


def choose(session: Session, sampling: Sampling, scorer: Scorer | None, check: Callable[[], None]):
    """Ids one after another, each with the log-probabilities of its place where asked for. `check` may end it."""
    plain = sampling.greedy and sampling.repetition_penalty == 1.0 and not sampling.logprobs and scorer is None
    while plain:
        check()
        yield session.take_likeliest(), None
    chooser = Chooser(sampling)
    while True:
        check()
        logits = session.logits()
        scores = logits if scorer is None else _checked(scorer(tuple(session.ids), logits.copy()), logits)
        id = chooser.choose(scores, session.ids)
        yield id, log_softmax(logits) if sampling.logprobs else None
        session.append([id])


def write(format: ChatFormat, chosen, room: int, sampling: Sampling) -> Iterator[Event]:
    """Ids to tokens with text, until the model ends, a stop text is complete, or the room is used up."""
    reader, watcher = format.reader(), StopWatcher(sampling.stop)
    count = 0
    for count, (id, logprobs) in enumerate(chosen, start=1):
        now = perf_counter()
        ended = id in format.end_ids
        text = "" if ended else watcher.read(reader.read(id))
        reason = "end" if ended else "stop" if watcher.stopped else "length" if count == room else None
        logprob = None if logprobs is None else float(logprobs[id])
        top = likeliest(format, np.exp(logprobs), sampling.top_logprobs) if sampling.top_logprobs else ()
        yield Token(id, text + watcher.rest() if reason else text, now, logprob, top)
        if reason:
            yield End(now, reason)
            return
    yield End(perf_counter(), "end" if count < room else "length")  # a beam search that ended on its own


def likeliest(format: ChatFormat, probabilities: np.ndarray, top: int) -> tuple[TokenProbability, ...]:
    best = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(TokenProbability(int(id), format.piece(int(id)).text, float(probabilities[id])) for id in best)


def _checked(scores, logits: np.ndarray) -> np.ndarray:
    try:
        scores = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise BadRequest(f"A scorer returns numbers, one score for each id: {fault}.") from fault
    if scores.shape != logits.shape:
        raise BadRequest(f"A scorer returns one score for each of {len(logits):,} ids, not shape {scores.shape}.")
    return scores


SEEING = "tiny-vlm"  # the course's own model that sees


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

    def prompt(self, question, system: str | None = None, images=None) -> str:
        """The text that the model is really given for a question or a list of messages."""
        messages = with_images(as_messages(question, system), images)
        if any(message.images for message in messages):
            self._look(messages)
        return self.format.prompt(messages)

    def complete(self, text: str, *, scorer: Scorer | None = None, **settings) -> Reply:
        """Go on writing a text as it stands, with no chat template."""
        return self._reply(self._ids_of(text), as_sampling(settings), scorer, None)

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
        return list(likeliest(self.format, probabilities, max(1, top)))

    def logprobs(self, text: str, after: str = "") -> list[tuple[TokenPiece, float | None]]:
        """Each token of a text with the log-probability that the model gave it, there or after another text.

        None for the very first, which nothing precedes."""
        ids = self._ids_of(after + text)
        given = shared_length(self.format.ids(after), ids) if after else 0
        found, row = [None], 0
        for block in self._logits_of(ids):
            following = ids[row + 1 : row + 1 + len(block)]
            found += [float(v) for v in log_softmax(block[: len(following)])[np.arange(len(following)), following]]
            row += len(block)
        return [(self.format.piece(id), value) for id, value in zip(ids, found, strict=True)][given:]

    @property
    def folder(self) -> Path:
        """The folder that this model was loaded from."""
        return self.format.folder

    def ids(self, text: str) -> list[int]:
        """The ids of a text's tokens, as the model reads them."""
        return self.format.ids(text)

    def piece(self, id: int) -> str:
        """The text of one token."""
        return self.format.piece(id).text

    def top1(self, text: str) -> list[int]:
        """The id that the model holds likeliest after each token of a text."""
        return [int(id) for block in self._logits_of(self._ids_of(text)) for id in block.argmax(axis=-1)]

    def forget(self) -> None:
        """Read the next prompt from its beginning, whatever of it the last answer left in the KV cache."""
        with self._lock:
            self._spare = None

    def close(self) -> None:
        self._closed, self._spare = True, None

    # The road

    def _answer(self, messages: list[Message], sampling: Sampling, scorer, on_end) -> Reply:
        self._refuse_endless(sum(len(message.content) for message in messages), len(messages))
        if any(message.images for message in messages):
            ids, sight = self._look(messages)
            return self._reply(ids, sampling, scorer, on_end, sight)
        return self._reply(self._ids_of(self.format.prompt(messages)), sampling, scorer, on_end)

    def _look(self, messages: list[Message]) -> tuple[list[int], Sight]:
        """The ids of a conversation with pictures in it, and what the runtime made of them."""
        raise BadRequest(
            f"{self.name} reads text only: it can't see a picture. Ask a model that sees: slmlab.load({SEEING!r}), or "
            "hand it the text in the picture: slmlab.read_text(picture)."
        )

    def _reply(
        self, ids: list[int], sampling: Sampling, scorer: Scorer | None, on_end, sight: Sight | None = None
    ) -> Reply:
        if scorer is not None and not callable(scorer):
            raise BadRequest("A scorer is a function of (ids, logits) that gives logits.")
        if scorer and sampling.beams > 1:
            raise BadRequest("A scorer changes one step at a time and beam search weighs many: set beams=1.")
        if sight and sampling.beams > 1:
            raise BadRequest("Beam search reads text only here: set beams=1 to ask about a picture.")
        asked = self._generation
        return Reply(lambda: self.stream(ids, sampling, scorer, asked, sight), self.name, on_end)

    def _ids_of(self, text: str) -> list[int]:
        """The ids of a prompt, refused here when empty or too long, before anything runs."""
        self._check_open()
        if not isinstance(text, str) or not text:
            raise BadRequest("The prompt is empty. Give the model some text to go on from.")
        self._refuse_endless(len(text))
        ids = self.format.ids(text)
        if len(ids) >= self.context:
            raise BadRequest(
                f"The prompt has {len(ids):,} tokens and {self.name} holds {self.context:,}, answer included. "
                "Shorten it, or split it and ask about each part."
            )
        return ids

    def _refuse_endless(self, characters: int, messages: int = 1) -> None:
        """Refuse what can't fit however it is cut into tokens: counting them would take minutes and gigabytes."""
        if characters > self.context * self.format.longest_token or messages > self.context:
            what = f"{characters:,} characters" if messages <= self.context else f"{messages:,} messages"
            raise BadRequest(
                f"The prompt has {what} and {self.name} holds {self.context:,} tokens, answer included. "
                "Shorten it, or split it and ask about each part."
            )

    def _refuse_overfull(self, tokens: int, pictures: int) -> None:
        """Refuse a prompt with pictures in it that the context can't hold."""
        if tokens >= self.context:
            raise BadRequest(
                f"The prompt has {tokens:,} tokens, {pictures} pictures among them, and {self.name} holds "
                f"{self.context:,}, answer included. Show it fewer pictures, or ask about each."
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
        self,
        ids: Sequence[int],
        sampling: Sampling,
        scorer: Scorer | None = None,
        asked: int | None = None,
        sight: Sight | None = None,
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
            yield from write(self.format, chosen, room, sampling)
            return
        session = self._take_spare(ids, room, sight) or self._session(capacity_for(len(ids) + room, self.context))
        session.sight, finished = sight, False
        try:
            yield Start(began, len(ids), reused_tokens=len(session.ids))
            session.append(ids[len(session.ids) :])
            chosen = choose(session, sampling, scorer, self._check_open)
            for event in write(self.format, chosen, room, sampling):
                self._check_same(generation)
                yield event
            finished = True
        finally:
            self._put_away(session, finished and generation == self._generation)

    def _outdate(self) -> None:
        """Nothing that was cached so far is used again: the weights are not what they were."""
        with self._lock:
            self._generation += 1
            self.forget()

    def _put_away(self, session: Session, finished: bool) -> None:
        """Keep the session of a finished answer for the next turn; one that was left early is of no more use."""
        if finished and not self._closed:
            self._spare = session
        else:
            session.close()

    def _take_spare(self, ids: Sequence[int], room: int, sight: Sight | None) -> Session | None:
        """The session of the answer before, as far as this prompt goes on from it: no second reading is needed.

        That is all of it when this is the next turn, or the blocks that both prompts begin with. No less: ids read one
        by one and in a block differ in the last digits on a quantized model, and the same question must give the same
        answer whatever was asked before.
        """
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None or spare.sight != sight or len(ids) + room > spare.capacity:
            return None
        shared = shared_length(spare.ids, ids)
        if shared == len(spare.ids) < len(ids):
            return spare
        most = min(spare.whole, shared, len(ids) - 1)
        if not spare.block or most < spare.block:
            return None
        spare.rewind(most - most % spare.block)
        return spare

"""An answer being written on this machine: ids chosen one after another, and tokens with text made of them.

Knows a Session and a ChatFormat; nothing here knows which runtime it is, or who asked.
"""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import numpy as np

from slmlab.chat import ChatFormat, StopWatcher
from slmlab.engines.session import Session
from slmlab.errors import BadRequest
from slmlab.records import End, Event, Sampling, Token, TokenProbability
from slmlab.sampling import Chooser, log_softmax

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

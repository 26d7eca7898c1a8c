"""The exercises of lesson 00: asking, and the speed of an answer."""

from course.answers import need, shown
from course.exercises.registry import exercise
from slmlab.records import End, Reply, Start, Token

finished = exercise("start-1")()


@finished.judged
def _(answer):
    need(isinstance(answer, Reply), f"hand over what `model.ask(...)` gives, not {shown(answer)}")
    need(answer.finish_reason is not None, "the reply is not read yet; `.show()` lets the model write it")
    need(answer.tokens, "the reply has no tokens; ask something that needs an answer")


def _reply(start_s: float, *times: float) -> Reply:
    def events():
        yield Start(start_s, 8)
        yield from (Token(id, "a", time_s) for id, time_s in enumerate(times))
        yield End(times[-1], "end")

    reply = Reply(events, "a reply made up for this check")
    list(reply)
    return reply


def _spent(reply) -> float:
    return reply.tokens[-1].time_s - reply.tokens[0].time_s


@exercise("start-2", told="for {why} s later, it gave {value:.3g}", otherwise=", and {right:.3g} is right", cases=[
    (_reply(10.0, 10.5, 10.6, 10.7, 10.8, 10.9), "5 tokens, the first after 0.5 s and the last 0.4"),
    (_reply(3.0, 3.2, 3.25, 3.3), "3 tokens, the first after 0.2 s and the last 0.1"),
    (_reply(0.0, 2.0, 2.5), "2 tokens, the first after 2 s and the last 0.5"),
], mistakes=[
    ("between 5 tokens there are only 4 steps", lambda reply: len(reply.tokens) / _spent(reply)),
    ("the wait for the first token is reading the prompt, so leave it out",
     lambda reply: len(reply.tokens) / (reply.tokens[-1].time_s - reply.start.time_s)),
    ("that is seconds per token, the other way round", lambda reply: _spent(reply) / (len(reply.tokens) - 1)),
])  # fmt: skip
def tokens_per_second(reply):
    tokens = reply.tokens
    if len(tokens) < 2:
        return None
    return (len(tokens) - 1) / (tokens[-1].time_s - tokens[0].time_s)


@tokens_per_second.judged
def _(answer):
    tokens_per_second.compare(answer)
    alone = answer(_reply(0.0, 1.0))
    need(alone is None, f"with one token there is no step to time: give None, not {shown(alone)}")

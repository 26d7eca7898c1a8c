"""The exercises of lesson 16: Little's law, how many learners a server carries, which questions to let in."""

import random
from collections import deque

from course.answers import function_in, need
from course.exercises.registry import exercise

_PATIENCE_S = 5.0  # who waits longer for the first token has gone


@exercise("scale-1", told="`how_many({per_minute}, {seconds})` gave {value:g}", cases=[(90, 8), (60, 5), (30, 0.5)],
          mistakes=[
    ("a minute has 60 seconds, and {right:g} is right", lambda per_minute, seconds: per_minute * seconds),
    ("Little's law multiplies, and {right:g} is right", lambda per_minute, seconds: per_minute / 60 / seconds),
    ("multiply by the seconds that one stays, and {right:g} is right", lambda per_minute, seconds: per_minute / 60),
])  # fmt: skip
def how_many(per_minute, seconds):
    return per_minute / 60 * seconds


@exercise("scale-2", told="`carries({per_second}, {wait_s}, {think_s})` gave {value:g}", cases=[
    (2, 5, 60), (1.3, 4, 20), (2, 5, 0), (1.1, 3, 5)
], mistakes=[
    ("those who wait or read an answer count too", lambda per_second, wait_s, think_s: int(per_second * think_s)),
    ("those who think count too", lambda per_second, wait_s, think_s: int(per_second * wait_s)),
    ("there is no part of a learner: round down", lambda per_second, wait_s, think_s: per_second * (wait_s + think_s)),
    ("one more would wait too long: round down",
     lambda per_second, wait_s, think_s: -int(-per_second * (wait_s + think_s) // 1)),
])  # fmt: skip
def carries(per_second, wait_s, think_s):
    return int(per_second * (wait_s + think_s))


def in_time(rule, pace: float, load: float, questions: int = 3000) -> float:
    """The share of all questions that begin to be answered in time. A late answer takes its time too: the server
    doesn't see that its reader has gone."""
    chance, now, ends, good = random.Random(16), 0.0, deque(), 0
    for _ in range(questions):
        now += chance.expovariate(load * pace)
        took_s = chance.uniform(0.5, 1.5) / pace
        while ends and ends[0] <= now:
            ends.popleft()
        if rule(len(ends), pace):
            begins = ends[-1] if ends else now
            good += begins - now <= _PATIENCE_S
            ends.append(begins + took_s)
    return good / questions


@exercise("scale-3")
def admit(ahead, pace):
    return (ahead + 1) / pace < 5


@admit.judged
def _(answer):
    function = function_in(answer, "admit")
    for pace in (0.5, 2.5, 6.5):
        for load in (0.7, 1.5):
            share, best = (in_time(rule, pace, load) for rule in (function, admit))
            told = f"a server that answers {pace} questions per second gets {load * pace:.2g}: {share:.0%} begin"
            need(share >= 0.8 * best, f"{told} to be answered in time, and {best:.0%} are possible")

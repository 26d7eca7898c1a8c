"""Question sets in, scores out: what a model knows, measured by what it writes and by what it finds likelier.

Knows nothing about plotting. A question set is a file in data/questions.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slmlab.catalog import DATA
from slmlab.show import Shown, Table


@dataclass(frozen=True, repr=False)
class Share:
    """So many of so many, and the interval that holds the true share 19 times of 20 (Wilson's)."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked

    @property
    def interval(self) -> tuple[float, float]:
        z, n, p = 1.96, self.asked, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __repr__(self):
        low, high = self.interval
        return f"{self.share:.0%} ({low:.0%}-{high:.0%}, n={self.asked})"


@dataclass(frozen=True)
class Question:
    """A question with the answers that count as right, and for a choice its options, the right one first."""

    id: str
    topic: str
    prompt: str
    answers: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """What a model made of a question."""

    question: Question
    said: str
    right: bool


@dataclass(frozen=True, repr=False)
class Score(Shown):
    """The verdicts of one run over a question set, topic by topic."""

    model: str
    verdicts: tuple[Verdict, ...]

    def right(self, topic: str) -> int:
        return sum(one.right for one in self.verdicts if one.question.topic == topic)

    def _table(self) -> Table:
        return compare([self])


def compare(scores: Sequence[Score]) -> Table:
    """Scores over the same questions side by side, topic by topic."""
    asked = Counter(one.question.topic for one in scores[0].verdicts)
    rows = [(topic, *(f"{one.right(topic)} of {count}" for one in scores)) for topic, count in asked.items()]
    whole = ("all", *(f"{sum(map(one.right, asked))} of {asked.total()}" for one in scores))
    return Table(("topic", *(one.model for one in scores)), [*rows, whole])


def questions(name: str) -> list[Question]:
    """A question set of data/questions, by the file's name."""
    lines = (DATA / "questions" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


def score(model, asked: Sequence[Question], max_tokens: int = 40) -> Score:
    """Ask every question: a choice goes to the likelier option, an open question to the text the model writes."""
    return Score(model.name, tuple(judge(model, one, max_tokens=max_tokens) for one in asked))


def judge(model, question: Question, **settings) -> Verdict:
    """One question; the settings are those of the text that the model writes, and no choice heeds them."""
    if question.options:
        likeliest = max(question.options, key=lambda option: mean_logprob(model, question.prompt, option))
        return Verdict(question, likeliest, likeliest == question.options[0])
    said = way_to_ask(model)(question.prompt, **settings).text.strip()
    return Verdict(question, said, any(says(said, answer) for answer in question.answers))


def way_to_ask(model) -> Callable:
    """A model that was not taught to chat only goes on with a text."""
    return model.ask if getattr(getattr(model, "format", None), "template", "another's") else model.complete


def says(text: str, answer: str) -> bool:
    """Whether a text contains an answer as a word of its own: 'Rome' is not in 'romance'."""
    return re.search(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", text.lower()) is not None


def mean_logprob(model, prompt: str, continuation: str) -> float:
    """How likely a model finds a continuation, per token: a long one isn't punished for its length."""
    values = [value for _, value in model.logprobs(continuation, after=prompt)]
    return sum(values) / len(values)

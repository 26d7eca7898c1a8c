"""Question sets in, scores out: what a model knows, measured by what it writes and by what it finds likelier.

Knows nothing about plotting. A question set is a file in data/questions.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest, quoted


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


@dataclass(frozen=True)
class Score:
    """The verdicts of one run over a question set; as a text, topic by topic."""

    model: str
    verdicts: tuple[Verdict, ...]

    @property
    def share(self) -> float:
        return sum(one.right for one in self.verdicts) / len(self.verdicts)

    def __str__(self):
        asked = Counter(one.question.topic for one in self.verdicts)
        right = Counter(one.question.topic for one in self.verdicts if one.right)
        lines = [f"{self.model}: {right.total()} of {asked.total()}"]
        return "\n".join(lines + [f"{topic:14} {right[topic]} of {asked[topic]}" for topic in asked])


def questions(name: str) -> list[Question]:
    """A question set of data/questions, by the file's name."""
    files = {file.stem: file for file in sorted((DATA / "questions").glob("*.jsonl"))}
    if name not in files:
        raise UnknownName(f"Unknown question set {quoted(name)}. {nearest(str(name), list(files))}")
    return [Question(**json.loads(line)) for line in files[name].read_text(encoding="utf-8").splitlines()]


def score(model, asked: Sequence[Question], max_tokens: int = 40) -> Score:
    """Ask every question: a choice goes to the likelier option, an open question to the text the model writes."""
    return Score(model.name, tuple(_judge(model, one, max_tokens) for one in asked))


def _judge(model, question: Question, max_tokens: int) -> Verdict:
    if question.options:
        likeliest = max(question.options, key=lambda option: mean_logprob(model, question.prompt, option))
        return Verdict(question, likeliest, likeliest == question.options[0])
    said = model.ask(question.prompt, max_tokens=max_tokens).text.strip()
    return Verdict(question, said, any(says(said, answer) for answer in question.answers))


def says(text: str, answer: str) -> bool:
    """Whether a text contains an answer as a word of its own: 'Rome' is not in 'romance'."""
    return re.search(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", text.lower()) is not None


def mean_logprob(model, prompt: str, continuation: str) -> float:
    """How likely a model finds a continuation, per token: a long one isn't punished for its length."""
    values = [value for _, value in model.logprobs(continuation, after=prompt)]
    return sum(values) / len(values)


@dataclass(frozen=True)
class Lean:
    """How a model splits a choice between two words after a sentence that mentions `word`."""

    word: str
    first: str
    second: str
    share: float  # the first word's part of the two: 0.5 is even

    def __str__(self):
        mark = round(20 * self.share)
        bar = "·" * mark + "│" + "·" * (20 - mark)
        return f"{self.word:12} {self.second} {bar} {self.first}  {self.share:.0%} {self.first}"


def leans(model, template: str, words: Sequence[str], first: str, second: str) -> list[Lean]:
    """For each word in the template, the probabilities of two next words; the strongest lean to `first` on top."""
    found = []
    for word in words:
        following = model.next_token_probabilities(template.format(word), top=10**9)
        chance = {one.text: one.probability for one in reversed(following)}  # of two tokens alike, the likelier
        one, other = chance.get(f" {first}", 0.0), chance.get(f" {second}", 0.0)
        found.append(Lean(word, first, second, one / (one + other)))
    return sorted(found, key=lambda one: -one.share)

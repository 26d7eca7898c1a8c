"""Which of two words a text model leans to, after a sentence that mentions a third."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lean:
    """How a model splits a choice between two words after a sentence that mentions `word`."""

    word: str
    first: str
    second: str
    share: float  # the first word's part of the two: 0.5 is even


def leans(model, template: str, words: Sequence[str], first: str, second: str) -> list[Lean]:
    """For each word in the template, the probabilities of two next words; the strongest lean to `first` on top."""

    def chance(text: str, next_word: str) -> float:
        return math.exp(sum(value for _, value in model.logprobs(f" {next_word}", after=text)))

    found = []
    for word in words:
        one, other = (chance(template.replace("{}", word), each) for each in (first, second))
        found.append(Lean(word, first, second, one / (one + other)))
    return sorted(found, key=lambda one: -one.share)

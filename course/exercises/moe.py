"""The exercises of lesson 05: active parameters, a rule for the router, its balance."""

import json
from collections import Counter

import numpy as np

from course.answers import code, function_in, need, number_from
from course.exercises.registry import exercise
from slmlab.catalog import DATA, card


def _sizes(name: str) -> tuple:
    one = card(name).architecture
    return one.parameters, one.layers, one.experts, one.experts_per_token, one.expert_parameters, name


@exercise("moe-1", told="for {why} it gave {value:,.0f}", otherwise=", and {right:,.0f} is right", cases=[
    _sizes("phi-3.5-moe"), _sizes("tiny-moe")
], mistakes=[
    ("that takes a part of everything, and attention, embeddings and norms work on every token",
     lambda total, layers, experts, used, size: total * used / experts),
    ("experts are left out in every layer, not in one",
     lambda total, layers, experts, used, size: total - (experts - used) * size),
    ("that counts the experts alone, and the rest of the model works too",
     lambda total, layers, experts, used, size: layers * used * size),
])  # fmt: skip
def active(total, layers, experts, used, expert_size):
    return total - layers * (experts - used) * expert_size


@exercise("moe-2")
def expert_of(text):
    signs = " \neaotsnrlhidumcpbg.,:=0123456"
    experts = [15, 15, 6, 0, 13, 12, 11, 1, 1, 12, 4, 5, 11, 3, 4, 9, 9, 7, 8, 1, 2, 13, 6, 13, 13, 13, 6, 13, 13, 2]
    favourites = dict(zip(signs, experts, strict=True))
    return favourites.get(text, 12)


@expert_of.judged
def _(answer):
    function, probe = function_in(answer, "expert_of"), DATA / "models" / "tiny-moe" / "probe.json"
    tokens = json.loads(probe.read_text(encoding="utf-8"))["first experts"]
    missed = Counter(text for text, expert in tokens if number_from(function(text)) != expert)
    right, most = len(tokens) - missed.total(), missed.most_common(3)
    told = f"right for {right} of {len(tokens)} bytes from other texts, and 30 are needed. One expert for all gets 12"
    need(right >= 30, f"{told}. Missed most: {', '.join(f'{code(repr(text))} ({count})' for text, count in most)}")


_TURNS, _CROWD = np.array([[0, 1], [1, 2], [2, 3], [3, 0]]), np.array([[0, 1]] * 4)
_LEANING = np.array([[0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1], [0.1, 0.5, 0.2, 0.2], [0.4, 0.3, 0.3, 0.0]])


@exercise("moe-3", told="{why} it gave {value:.3g}", cases=[
    (_TURNS, np.full((4, 4), 0.25), "with the work spread evenly over 4 experts"),
    (_CROWD, np.array([[0.5, 0.5, 0.0, 0.0]] * 4), "with two of 4 experts doing all the work"),
    (np.array([[0, 1], [0, 2], [1, 0], [0, 1]]), _LEANING, "with four tokens of which all choose expert 0"),
    (np.array([[0, 1], [0, 2]]), np.array([[0.8, 0.1, 0.1]] * 2), "with two tokens and three experts"),
])  # fmt: skip
def balance_loss(chosen, probabilities):
    wanted = probabilities.mean(axis=0)
    busy = np.bincount(chosen.ravel(), minlength=len(wanted)) / chosen.size
    return len(wanted) * (busy * wanted).sum()

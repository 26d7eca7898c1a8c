"""The exercises of lesson 05: active parameters, the router, its balance, calls of tools."""

import json

import numpy as np

from course.answers import NotYet, code, function_in, near, need, numbers_from, pair_from, shown
from course.exercises.registry import exercise
from slmlab.catalog import card


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
def route(scores, k):
    chosen = np.argsort(-scores)[:k]
    weights = np.exp(scores[chosen])
    return chosen, weights / weights.sum()


@route.judged
def _(answer):
    function = function_in(answer, "route")
    for scores, k in (([1.0, 3.0, 2.0, -1.0], 2), ([0.5, -2.0, 0.1, 4.0, 3.0], 3), ([70.0, 71.0], 2)):
        pair = pair_from(function(np.array(scores), k), "two things, the experts and their weights")
        chosen, weights = (numbers_from(part, k) for part in pair)
        best, shares = (part.tolist() for part in route(np.array(scores), k))
        told, total = f"of the scores {scores} with k={k}", sum(weights)
        need(chosen == best, f"{told} it chose {shown(chosen)}, and {best} have the highest")
        need(near(total, 1.0), f"{told} its weights add up to {total:.3g}; a softmax makes that 1")
        right = all(map(near, weights, shares))
        need(right, f"{told} its weights are {shown(weights)}; take the softmax of these {k} scores")


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


@exercise("moe-4")
def tool_call(answer, tools):
    try:
        found = json.loads(answer)
    except ValueError:
        return None, answer
    if not isinstance(found, dict) or set(found) != {"tool_name", "input"}:
        return None, answer
    name, given = found["tool_name"], found["input"]
    known = isinstance(name, str) and name in tools and isinstance(given, str)
    return (name, given) if known else (None, answer)


_ANSWERS = {
    '{"tool_name": "calculator", "input": "17 * 23"}': "that is a call",
    "The capital of France is Paris.": "that is no JSON, so it is an answer in words",
    '{"tool_name": "delete_files", "input": "all"}': "there is no such tool, and it must not be called",
    '["calculator", "17 * 23"]': "that is a list, no object",
    "391": "that is a number, no object",
    '{"tool_name": "calculator"}': "its input is missing",
    '{"tool_name": "translate", "input": 7}': "its input is no text",
    '{"tool_name": "translate", "input": "sol", "why": "x"}': "it has a key that nobody asked for",
}


@tool_call.judged
def _(answer):
    function, tools = function_in(answer, "tool_call"), ("calculator", "translate")
    for text, why in _ANSWERS.items():
        try:
            found = pair_from(function(text, tools), "a pair, a name or None and a text")
        except (ValueError, KeyError, TypeError) as fault:
            stopped = code(f"{type(fault).__name__}: {fault}")
            raise NotYet(f"for `{text}` it stopped with {stopped}, and {why}") from None
        need(found == tool_call(text, tools), f"for `{text}` it gave {shown(found)}: {why}")

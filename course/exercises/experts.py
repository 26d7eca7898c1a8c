"""Verdicts on the exercises about mixtures of experts: one small function each.

Takes a learner's answer, tries it on cases whose result is known, and says in a sentence what is still wrong.
"""

import numpy as np

from course.answers import code, function_in, given, near, number_from, numbers_from, shown
from course.exercises.registry import exercise
from slmlab.catalog import card


@exercise("moe-1")
def _active(answer):
    function = function_in(answer, "active")
    for name in ("phi-3.5-moe", "tiny-moe"):
        one = card(name).architecture
        sizes = (one.parameters, one.layers, one.experts, one.experts_per_token, one.expert_parameters)
        value, wanted = number_from(given(function, *sizes)), one.active_parameters
        told = f"for {name} it gave {value:,.0f}"
        if near(value, one.parameters * one.experts_per_token / one.experts):
            return f"{told}: that takes a part of everything, and attention, embeddings and norms work on every token"
        if near(value, one.parameters - (one.experts - one.experts_per_token) * one.expert_parameters):
            return f"{told}: experts are left out in every layer, not in one"
        if near(value, one.layers * one.experts_per_token * one.expert_parameters):
            return f"{told}: that counts the experts alone, and the rest of the model works too"
        if round(value) != wanted:
            return f"{told}, and {wanted:,} is right"
    value = number_from(given(function, 1000, 3, 4, 1, 50))
    return (
        None if value == 550 else f"with 3 layers of 4 experts, 1 used, of 50 each, it made {value:g} of 1000, not 550"
    )


@exercise("moe-2")
def _route(answer):
    function = function_in(answer, "route")
    for scores, k in (([1.0, 3.0, 2.0, -1.0], 2), ([0.5, -2.0, 0.1, 4.0, 3.0], 3), ([70.0, 71.0], 2)):
        found = given(function, np.array(scores), k)
        if not isinstance(found, tuple) or len(found) != 2:
            return f"give two things, the experts and their weights, not {shown(found)}"
        chosen, weights = (numbers_from(part, k) for part in found)
        wanted = sorted(range(len(scores)), key=lambda expert: -scores[expert])[:k]
        best = np.exp(np.array(scores)[wanted] - max(scores))
        told = f"of the scores {scores} with k={k}"
        if chosen != wanted:
            return f"{told} it chose {[float(f'{one:g}') for one in chosen]}, and {wanted} have the highest"
        if not near(sum(weights), 1.0):
            return f"{told} its weights add up to {sum(weights):.3g}; a softmax makes that 1"
        if not all(near(one, share) for one, share in zip(weights, best / best.sum(), strict=True)):
            return f"{told} its weights are {[round(one, 3) for one in weights]}; take the softmax of these {k} scores"
    return None


@exercise("moe-3")
def _balance(answer):
    function = function_in(answer, "balance_loss")
    turns = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    crowd = np.array([[0, 1]] * 4)
    sure = np.array([[0.5, 0.5, 0.0, 0.0]] * 4)
    leaning = np.array([[0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1], [0.1, 0.5, 0.2, 0.2], [0.4, 0.3, 0.3, 0.0]])
    for chosen, probabilities, right, case in (
        (turns, np.full((4, 4), 0.25), 1.0, "with the work spread evenly over 4 experts"),
        (crowd, sure, 2.0, "with two of 4 experts doing all the work"),
        (turns, leaning, 1.0, "with all equally busy and a router that leans"),
        (np.array([[0, 1], [0, 2], [1, 0], [0, 1]]), leaning, 1.35, "with four tokens of which all choose expert 0"),
        (np.array([[0, 1], [0, 2]]), np.array([[0.8, 0.1, 0.1]] * 2), 1.35, "with two tokens and three experts"),
    ):
        value = number_from(given(function, chosen, probabilities))
        if not near(value, right):
            return f"{case} it gave {value:.3g}, and {right:g} is right"
    return None


@exercise("moe-4")
def _tool_call(answer):
    function, tools = function_in(answer, "tool_call"), ("calculator", "translate")
    call = '{"tool_name": "calculator", "input": "17 * 23"}'
    for text, wanted, why in (
        (call, ("calculator", "17 * 23"), "that is a call"),
        ("The capital of France is Paris.", None, "that is no JSON, so it is an answer in words"),
        ('{"tool_name": "delete_files", "input": "all"}', None, "there is no such tool, and it must not be called"),
        ('["calculator", "17 * 23"]', None, "that is a list, no object"),
        ("391", None, "that is a number, no object"),
        ("null", None, "that is nothing, no object"),
        ('{"tool_name": "calculator"}', None, "its input is missing"),
        ('{"tool_name": "translate", "input": 7}', None, "its input is no text"),
        ('{"tool_name": ["calculator"], "input": "1"}', None, "its name is no text"),
        (call + " Done!", None, "there are words after the object, so the whole is no JSON"),
        ('{"tool_name": "translate", "input": "sol", "why": "x"}', None, "it has a key that nobody asked for"),
    ):
        try:
            found = given(function, text, tools)
        except (ValueError, KeyError, TypeError) as fault:
            return f"for `{text}` it stopped with {code(f'{type(fault).__name__}: {fault}')}, and {why}"
        if not isinstance(found, tuple) or len(found) != 2:
            return f"give a pair, a name or None and a text, not {shown(found)}"
        if found != (wanted or (None, text)):
            return f"for `{text}` it gave {shown(found)}: {why}"
    return None

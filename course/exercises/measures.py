"""Verdicts on the exercises about asking, speed, size and memory: one small function each.

Takes a learner's answer, tries it on cases whose result is known, and says in a sentence what is still wrong.
"""

from course.answers import function_in, given, near, number_from, shown
from course.exercises.registry import exercise
from slmlab.catalog import card
from slmlab.records import End, Reply, Start, Token


@exercise("start-1")
def _a_finished_reply(answer):
    if isinstance(answer, str):
        return "that is a text; hand over the reply itself, the thing that `model.ask(...)` gives"
    if not isinstance(answer, Reply):
        return f"hand over what `model.ask(...)` gives, not {shown(answer)}"
    if answer.finish_reason is None:
        return "the reply is not read yet; `.show()` lets the model write it"
    if answer.finish_reason == "interrupted":
        return "the reply was left before its end; ask again and read all of it"
    return None if answer.tokens else "the reply has no tokens; ask something that needs an answer"


@exercise("start-2")
def _decode_rate(answer):
    rate = function_in(answer, "tokens_per_second")
    for start, times in ((10.0, [10.5, 10.6, 10.7, 10.8, 10.9]), (3.0, [3.2, 3.25, 3.3]), (0.0, [2.0, 2.5])):
        value, steps, spent = number_from(given(rate, _reply(start, times))), len(times) - 1, times[-1] - times[0]
        told = f"for {len(times)} tokens, the first after {times[0] - start:g} s and the last {spent:g} s later"
        if near(value, len(times) / spent):
            return f"{told}, it gave {value:.3g}: between {len(times)} tokens there are only {steps} steps"
        if near(value, steps / (times[-1] - start)) or near(value, len(times) / (times[-1] - start)):
            return f"{told}, it gave {value:.3g}: the wait for the first token is reading the prompt, so leave it out"
        if near(value, spent / steps):
            return f"{told}, it gave {value:.3g}: that is seconds per token, the other way round"
        if not near(value, steps / spent):
            return f"{told}, it gave {value:.3g}, and {steps / spent:.3g} is right"
    alone = rate(_reply(0.0, [1.0]))
    return None if alone is None else f"with one token there is no step to time: give None, not {shown(alone)}"


def _reply(start_s: float, times: list[float]) -> Reply:
    def events():
        yield Start(start_s, 8)
        yield from (Token(id, "a", time_s) for id, time_s in enumerate(times))
        yield End(times[-1], "end")

    reply = Reply(events, "a reply made up for this check")
    list(reply)
    return reply


@exercise("size-1")
def _weights_gb(answer):
    function = function_in(answer, "weights_gb")
    for parameters, bits in ((3.8e9, 16), (3.8e9, 4), (134_515_008, 8)):
        value, wanted = number_from(given(function, parameters, bits)), parameters * bits / 8 / 1e9
        told = f"`weights_gb({parameters:g}, {bits})` gave {value:.4g}"
        if near(value, wanted * 8):
            return f"{told}: those are gigabits, and a byte has 8 bits"
        if near(value, wanted * 1e9):
            return f"{told}: those are bytes, and a GB is a thousand million of them"
        if near(value, wanted * 1e9 / 2**30):
            return f"{told}: that counts in GiB (1024³); take a GB as 10⁹ bytes, as file sizes are published"
        if not near(value, wanted):
            return f"{told}, and {wanted:.4g} is right"
    return None


@exercise("size-2")
def _kv_cache_gb(answer):
    function = function_in(answer, "kv_cache_gb")
    for layers, heads, size, tokens, width in ((32, 32, 96, 4096, 2), (32, 8, 128, 131_072, 2), (30, 3, 64, 1000, 4)):
        value = number_from(given(function, layers, heads, size, tokens, width))
        wanted = 2 * layers * heads * size * tokens * width / 1e9
        told = f"`kv_cache_gb({layers}, {heads}, {size}, {tokens}, {width})` gave {value:.4g}"
        if near(value, wanted / 2):
            return f"{told}: half of it is missing, for each token keeps a key and a value"
        if near(value, wanted * 1e9):
            return f"{told}: those are bytes, and GB are wanted"
        if not near(value, wanted):
            return f"{told}, and {wanted:.4g} is right"
    return None


@exercise("size-3")
def _fits(answer):
    function = function_in(answer, "fits")
    for name, ram_gb, wanted in (
        ("phi-3.5-mini", 8, True),
        ("phi-3.5-mini", 1.5, False),
        ("phi-3-medium", 12, True),
        ("phi-3.5-moe", 8, False),
        ("gpt-4", 8, False),
    ):
        one = card(name)
        value = given(function, one, ram_gb)
        if value not in (True, False):
            return f"`fits` gave {shown(value)}, and True or False is wanted"
        if bool(value) is not wanted:
            return f"for {one.name} and {ram_gb:g} GB it gave {bool(value)}: {_why(one)}"
    return None


def _why(one) -> str:
    if one.parameters is None:
        return "nobody published its size, so don't promise that it fits"
    size = f"its {one.parameters / 1e9:.3g}B parameters take {one.parameters / 2e9:.3g} GB at half a byte each"
    active = one.active_parameters
    return f"{active / 1e9:.2g}B of them are active, and still {size}" if active < one.parameters else size


@exercise("speed-1")
def _speed_limit(answer):
    function = function_in(answer, "speed_limit")
    for weights, bandwidth in ((150e6, 50e9), (7.6e9, 50e9), (2e9, 100e9)):
        value, wanted = number_from(given(function, weights, bandwidth)), bandwidth / weights
        told = f"`speed_limit({weights:g}, {bandwidth:g})` gave {value:.4g}"
        if near(value, 1 / wanted):
            return f"{told}: that is seconds per token, so turn it over"
        if not near(value, wanted):
            return f"{told}, and {wanted:.4g} is right: how often per second can all the weights be read?"
    return None

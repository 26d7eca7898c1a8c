"""The exercises of lesson 09: a Modelfile, the time of a job, the choice of a runtime."""

import re
from copy import deepcopy

from course.answers import code, function_in, need, returned, shown
from course.exercises.registry import exercise


@exercise("runtimes-2", cases=[(512, 64, 600, 100), (8000, 100, 250, 50), (20, 500, 400, 80)],
          told="`seconds({prompt_tokens}, {answer_tokens}, {reads_per_s}, {writes_per_s})` gave {value:.4g}",
          otherwise=", and {right:.4g} is right")  # fmt: skip
def seconds(prompt_tokens, answer_tokens, reads_per_s, writes_per_s):
    return prompt_tokens / reads_per_s + answer_tokens / writes_per_s


for _words, _wrong in {
    "that is the reading; the answer has to be written as well": lambda p, a, reads, writes: p / reads,
    "that is the writing; before it the prompt is read": lambda p, a, reads, writes: a / writes,
    "the speeds don't add up, because nothing is written while it reads":
        lambda p, a, reads, writes: (p + a) / (reads + writes),
    "a mean speed is no speed of either part": lambda p, a, reads, writes: (p + a) / ((reads + writes) / 2),
    "tokens over tokens per second are seconds: divide": lambda p, a, reads, writes: p * reads + a * writes,
    "that is upside down: the tokens stand above, the speed below":
        lambda p, a, reads, writes: reads / p + writes / a,
    "what is written has a speed of its own": lambda p, a, reads, writes: (p + a) / reads,
    "what is read has a speed of its own": lambda p, a, reads, writes: (p + a) / writes,
    "the two speeds have changed places": lambda p, a, reads, writes: p / writes + a / reads,
}.items():  # fmt: skip
    seconds.mistake(_words, _wrong)


_RUNS = tuple(
    {"name": name, "writes_per_s": writes_per_s, "memory_mb": memory_mb, "perplexity": perplexity}
    for name, writes_per_s, memory_mb, perplexity in (
        ("fp32", 45, 877, 19.1), ("int8", 104, 437, 19.2), ("new", 150, 300, None), ("q4", 110, 445, 19.3),
        ("int4", 140, 358, 25.8), ("bf16", 19, 683, 19.1),
    )
)  # fmt: skip


# fmt: off
@exercise("runtimes-3")
def choose(runs, most_mb, worst):
    good = [
        run for run in runs
        if run["memory_mb"] <= most_mb and run["perplexity"] is not None and run["perplexity"] <= worst
    ]
    fastest = max(good, key=lambda run: run["writes_per_s"], default={"name": None})
    return fastest["name"]
# fmt: on


@choose.judged
def _(answer):
    function = function_in(answer, "choose")
    for most_mb, worst in ((500, 20), (1000, 30), (445, 19.3), (440, 20), (900, 19.15), (400, 20)):
        for order in (_RUNS, _RUNS[::-1]):
            runs = list(deepcopy(order))
            value, wanted = function(runs, most_mb, worst), choose(order, most_mb, worst)
            kept = "it changed `runs`, which others go on using: choose, and leave the list as it was"
            need(runs == list(order), kept)
            told = f"with at most {most_mb} MB and a perplexity of at most {worst}"
            need(value == wanted, f"{told}, {_why_not_that_one(value, wanted, most_mb, worst)}")
    nobody = function([], 500, 20)
    need(nobody is None, f"from an empty list it chose {shown(nobody)}: nobody qualifies, so give None")


def _why_not_that_one(value: object, wanted: str | None, most_mb: float, worst: float) -> str:
    if isinstance(value, dict):
        return "it gave a whole run, and its name is wanted"
    one, best = (next((run for run in _RUNS if run["name"] == name), None) for name in (value, wanted))
    met = best and (most_mb == best["memory_mb"] or worst == best["perplexity"])
    at_limit = ": at most includes the limit itself" if met else ""
    if value is None:
        return f"it gave nothing, and '{wanted}' qualifies{at_limit}"
    if one is None:
        right = "nobody qualifies: give None" if wanted is None else f"'{wanted}' is right"
        return f"it gave {shown(value)}, and {right}"
    if one["memory_mb"] > most_mb:
        return f"it chose '{value}', which takes {one['memory_mb']} MB"
    if one["perplexity"] is None:
        return f"it chose '{value}', whose quality nobody measured: unknown is not good enough"
    if one["perplexity"] > worst:
        return f"it chose '{value}', whose perplexity is {one['perplexity']}: lower is better"
    return f"it chose '{value}', and '{wanted}' qualifies too and writes faster{at_limit}"


_KNOWN = "from template parameter system message license adapter renderer parser requires draft".split()
_SETTINGS = "stop temperature top_k top_p num_ctx num_predict seed repeat_penalty".split()
_SYSTEM = "<|im_start|>system\n{{ .System }}<|im_end|>\n"
_USER = "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
_ASSISTANT = "<|im_start|>assistant\n"


@exercise("runtimes-1")
def modelfile(gguf, system):
    template = (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    lines = [f"FROM {gguf}", f'TEMPLATE """{template}"""', 'PARAMETER stop "<|im_end|>"']
    if system:
        lines.append(f'SYSTEM """{system}"""')
    return "\n".join(lines)


@modelfile.judged
def _(answer):
    function = function_in(answer, "modelfile")
    for gguf, system in (
        ("./smollm2-135m.gguf", "You answer in one sentence."),
        ("/models/small ones/SmolLM2.gguf", 'You answer "yes"\nor "no" and nothing else.'),
        ("./smollm2-135m.gguf", ""),
    ):
        text = returned(function(gguf, system))
        need(isinstance(text, str), f"it gave {shown(text)}, and the text of a Modelfile is wanted")
        found = _instructions(text)
        last = dict(found)
        _judge_source(last.get("from"), gguf)
        need("template" in last, "there is no TEMPLATE, so the model would not see whose turn it is")
        _judge_template(last["template"])
        _judge_stops([value for name, value in found if name == "parameter"])
        _judge_system(last.get("system"), system)


def _instructions(text: str) -> list[tuple[str, str]]:
    """The instructions, in small letters, with their values out of their quotes, as Ollama itself reads them."""
    found, lines = [], iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, value = line.strip().replace("\t", " ").partition(" ")
        own = f"{code(name)} is no instruction of its own: write `PARAMETER {name.lower()}` and its value"
        need(name.lower() not in _SETTINGS, own)
        unknown = f"Ollama would take {code(line)} for an instruction, and knows none by that name"
        need(name.lower() in _KNOWN, f'{unknown}; a text of several lines stands between """ and """')
        while (bare := _unquoted(value.strip())) is None:
            following = next(lines, None)
            need(following is not None, f"the quotes after {name} are never closed")
            value += f"\n{following}"
        found.append((name.lower(), bare))
    return found


def _unquoted(value: str) -> str | None:
    """The value out of its quotes; None while their end is still to come."""
    for mark in ('"""', '"'):
        if value.startswith(mark):
            closed = len(value) >= 2 * len(mark) and value.endswith(mark)
            return value[len(mark) : -len(mark)] if closed else None
    return value


def _judge_source(path: str | None, gguf: str) -> None:
    need(path is not None, "there is no FROM line, and Ollama has to know where the weights are")
    told = f"FROM names {code(path)} where {code(gguf)} was handed over"
    need(path == gguf, f"{told}: the path stays as it is")


def _judge_stops(parameters: list[str]) -> None:
    pairs = [value.partition(" ") for value in parameters]
    stops = [_unquoted(value.strip()) for name, _, value in pairs if name == "stop"]
    need(stops, "there is no `PARAMETER stop`, so the model would write on after its turn")
    told = f"it stops at {code(str(stops[0]))}"
    need("<|im_end|>" in stops, f"{told}, and in ChatML a turn ends with `<|im_end|>`")


def _judge_system(value: str | None, system: str) -> None:
    empty = "with an empty system text there is nothing to say: leave the SYSTEM line out"
    need(system or value is None, empty)
    need(not system or value is not None, "there is no SYSTEM line with the text that was handed over")
    told = f"SYSTEM says {code(value or '')} where {code(system)} was handed over"
    need((value or "").strip() == system, told)


def _judge_template(template: str) -> None:
    escaped = "the template holds a backslash and an `n`, and Ollama makes no new line of them: put a real one there"
    need("\\n" not in template, escaped)
    single = "the template has single braces, and Go wants two: an f-string makes `{` of `{{`, so use a plain string"
    need(not re.search(r"(?<!\{)\{ *\.\w+ *\}(?!\})", template), single)
    ours = "for this check write the turns out, with `{{ .System }}`, `{{ .Prompt }}`"
    need(".Messages" not in template, f"`.Messages` works in Ollama too; {ours}")
    turns = re.sub(r"\s*\{\{-", "{{", re.sub(r"-\}\}\s*", "}}", template))  # the minus takes the white space beside it
    turns = re.sub(r"\{\{ *(if|else|end)\b[^}]*\}\}", "", turns)
    turns = re.sub(r"\{\{ *(\S+?) *\}\}", r"{{ \1 }}", turns)
    for role, field in (("system", "{{ .System }}"), ("user", "{{ .Prompt }}"), ("assistant", "")):
        need(f"<|im_start|>{role}" in turns, f"the template has no `<|im_start|>{role}`")
        there = f"where Ollama puts the text of the {role}'s turn"
        need(field in turns, f"the template has no `{field}`, {there}")
    for role, turn in (("system", _SYSTEM), ("user", _USER), ("assistant", _ASSISTANT)):
        seen = f"`{turn.replace(chr(10), '⏎')}`"
        need(turn in turns, f"the {role}'s turn is not {seen}, where ⏎ is a new line")
    before, _, after = turns.partition(_ASSISTANT)
    need(0 <= before.find(_SYSTEM) < before.find(_USER), "the turns come in the order system, user, assistant")
    only = "".join(before.split()) == "".join((_SYSTEM + _USER).split())
    need(only, "the template has more in it than the turns of system, user and assistant")
    ends = after.strip() in ("", "{{ .Response }}", "{{ .Response }}<|im_end|>")
    need(ends, f"after `<|im_start|>assistant` the model writes, and here {code(after)} follows")

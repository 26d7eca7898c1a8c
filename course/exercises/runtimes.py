"""The exercises of lesson 09: a Modelfile, the time of a job, the choice of a runtime."""

import re

from course.answers import code, function_in, need, returned, shown
from course.exercises.registry import exercise


@exercise("runtimes-2", cases=[(512, 64, 600, 100), (8000, 100, 250, 50), (20, 500, 400, 80)],
          told="`seconds({prompt_tokens}, {answer_tokens}, {reads_per_s}, {writes_per_s})` gave {value:.4g}",
          otherwise=", and {right:.4g} is right", mistakes=[
    ("that is the reading; the answer has to be written as well", lambda p, a, reads, writes: p / reads),
    ("that is the writing; before it the prompt is read", lambda p, a, reads, writes: a / writes),
    ("the speeds don't add up, because nothing is written while it reads",
     lambda p, a, reads, writes: (p + a) / (reads + writes)),
    ("tokens over tokens per second are seconds: divide", lambda p, a, reads, writes: p * reads + a * writes),
    ("that is upside down: the tokens stand above, the speed below",
     lambda p, a, reads, writes: reads / p + writes / a),
    ("the two speeds have changed places", lambda p, a, reads, writes: p / writes + a / reads),
])  # fmt: skip
def seconds(prompt_tokens, answer_tokens, reads_per_s, writes_per_s):
    return prompt_tokens / reads_per_s + answer_tokens / writes_per_s


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
        value, wanted = function(list(_RUNS), most_mb, worst), choose(_RUNS, most_mb, worst)
        need(not isinstance(value, dict), "it gave a whole run, and its name is wanted")
        told = f"with at most {most_mb} MB and a perplexity of at most {worst}, it chose {value!r}"
        for run in (run for run in _RUNS if run["name"] == value != wanted):
            memory_mb, perplexity = run["memory_mb"], run["perplexity"]
            need(memory_mb <= most_mb, f"{told}, which takes {memory_mb} MB")
            need(perplexity, f"{told}, whose quality nobody measured: unknown is not good enough")
            need(perplexity <= worst, f"{told}, whose perplexity is {perplexity}: lower is better")
        need(value == wanted, f"{told}, and {wanted!r} is right")


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
        ("./smollm2-135m.gguf", 'You answer "yes"\nor "no" and nothing else.'),
        ("./smollm2-135m.gguf", ""),
    ):
        text = returned(function(gguf, system))
        need(isinstance(text, str), f"it gave {shown(text)}, and the text of a Modelfile is wanted")
        pairs = _instructions(text)
        found = dict(pairs)
        source, told = found.get("from"), found.get("system")
        need(source, "there is no FROM line, and Ollama has to know where the weights are")
        need(source == gguf, f"FROM names {code(source)} where {code(gguf)} was handed over: the path stays as it is")
        need("template" in found, "there is no TEMPLATE, so the model would not see whose turn it is")
        _judge_template(found["template"])
        stops = [value for name, value in pairs if name == "stop"]
        need(stops, "there is no `PARAMETER stop`, so the model would write on after its turn")
        need("<|im_end|>" in stops, f"it stops at {code(stops[0])}, and in ChatML a turn ends with `<|im_end|>`")
        need(system or told is None, "with an empty system text there is nothing to say: leave the SYSTEM line out")
        need(told or not system, "there is no SYSTEM line with the text that was handed over")
        need(told in (system, None), f"SYSTEM says {code(told or '')} where {code(system)} was handed over")


_INSTRUCTION = re.compile(
    r'^(from|template|system|parameter +stop) +(?:"""(.*?)"""|"([^"\n]*)"|([^\n]+?)) *$', re.I | re.S | re.M
)


def _instructions(text: str) -> list[tuple[str, str]]:
    """The name of each instruction, in small letters, and its value, out of its quotes."""
    found = (one.groups("") for one in _INSTRUCTION.finditer(text))
    return [(name.lower().split()[-1], "".join(values)) for name, *values in found]


def _judge_template(template: str) -> None:
    single = "the template has single braces, and Go wants two: an f-string makes `{` of `{{`, so use a plain string"
    need(not re.search(r"(?<!\{)\{ *\.\w+ *\}(?!\})", template), single)
    turns = re.sub(r"\s*\{\{-", "{{", re.sub(r"-\}\}\s*", "}}", template))  # a minus takes the white space beside it
    turns = re.sub(r"\{\{ *(if|else|end)\b[^}]*\}\}", "", turns)
    turns = re.sub(r"\{\{ *(\S+?) *\}\}", r"{{ \1 }}", turns)
    for role, turn in (("system", _SYSTEM), ("user", _USER), ("assistant", _ASSISTANT)):
        need(f"<|im_start|>{role}" in turns, f"the template has no `<|im_start|>{role}`")
        seen = f"`{turn.replace(chr(10), '⏎')}`"
        need(turn in turns, f"the {role}'s turn is not {seen}, where ⏎ is a new line")
    only = "".join(turns.split()).startswith("".join((_SYSTEM + _USER + _ASSISTANT).split()))
    need(only, "the template has the turns of system, user and assistant, in this order, and nothing else")

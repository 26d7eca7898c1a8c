"""The exercises of lesson 09: a Modelfile, the time of a job, the choice of a runtime."""

from course.answers import code, function_in, need, returned, shown
from course.exercises.registry import exercise
from course.runtimes.ollama import recipe


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


@exercise("runtimes-1")
def modelfile(base, system, temperature, stops):
    lines = [f"FROM {base}", f"PARAMETER temperature {temperature}"]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    if system:
        lines.append(f'SYSTEM """{system}"""')
    return "\n".join(lines)


@modelfile.judged
def _(answer):
    function = function_in(answer, "modelfile")
    for base, system, temperature, stops in (
        ("phi3.5", "You answer in one sentence.", 0, ["."]),
        ("phi4-mini", 'You answer "yes"\nor "no" and nothing else.', 0.7, ["User:", "END"]),
        ("phi3.5", "", 1, []),
    ):
        text = returned(function(base, system, temperature, stops))
        need(isinstance(text, str), f"it gave {shown(text)}, and the text of a Modelfile is wanted")
        found = recipe(text)
        source, told, set_to = found.get("from_"), found.get("system"), found["parameters"]
        need(source == base, f"FROM names {code(source or 'no model')}, and Ollama starts from the one handed over")
        need("temperature" in set_to, "there is no `PARAMETER temperature`")
        need(set_to["temperature"] == temperature, f"the temperature is {set_to['temperature']}, not {temperature}")
        several = "a Modelfile has one `PARAMETER stop` line for each text"
        need(set_to.get("stop", []) == stops, f"of the stop texts {stops} it has {set_to.get('stop', [])}: {several}")
        need(system or told is None, "with an empty system text there is nothing to say: leave the SYSTEM line out")
        need(not system or told == system, f"SYSTEM says {code(told or 'nothing')} where {code(system)} is wanted")

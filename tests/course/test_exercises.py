"""Every exercise: the starter runs and fails, the solution passes, a likely mistake gets the sentence that helps."""

import ast
import json
import math

import numpy as np
import pytest

from course.checking import check
from course.exercises import registry as exercises
from slmlab.errors import UnknownName
from slmlab.records import End, Reply, Start, Token

EVERY = list(exercises.exercises())


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "progress.json"))


class TinyModel:
    """Says one word to anything."""

    def ask(self, question):
        def events():
            yield Start(0.0, 3)
            yield Token(1, "Because.", 0.5)
            yield End(0.6, "end")

        return Reply(events, "tiny")


def run_cell(source: str):
    """Run a cell as a notebook does, and give the value of its last line."""
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value)
    names = {"check": check, "model": TinyModel()}
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(last, "<cell>", "eval"), names)


@pytest.mark.parametrize("name", EVERY)
def test_the_starter_runs_and_does_not_pass(name):
    verdict = run_cell(exercises.find(name).starter)
    assert verdict.exercise.id == name and verdict.passed is False and verdict.message


@pytest.mark.parametrize("name", EVERY)
def test_the_solution_passes(name, capsys):
    verdict = run_cell(exercises.find(name).solution)
    assert verdict.exercise.id == name and verdict.passed, verdict


@pytest.mark.parametrize("name", EVERY)
def test_the_texts_are_complete_and_short_enough_for_a_cell(name):
    one = exercises.find(name)
    assert len(one.hints) == 3 and all(one.hints) and one.task and one.title and one.right
    assert len(one.starter.strip().splitlines()) <= 12 and len(one.solution.strip().splitlines()) <= 14
    assert one.solution.strip() not in " ".join(one.hints)
    assert f'check("{name}", ' in one.starter


def test_an_unknown_exercise_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Available: onnx-1"):
        exercises.find("onnx1")


def said(name, answer) -> str:
    verdict = check(name, answer)
    assert verdict.passed is False, f"{name} let a wrong answer pass"
    return verdict.message


def read_to(tokens: int) -> Reply:
    reply = TinyModel().ask("?")
    stream = iter(reply)
    for _ in range(tokens):
        next(stream)
    stream.close()
    return reply


def silent() -> Reply:
    def events():
        yield Start(0.0, 3)
        yield End(0.1, "end")

    reply = Reply(events, "tiny")
    list(reply)
    return reply


def spans(reply):
    return reply.tokens[-1].time_s - reply.tokens[0].time_s


def in_place(ids):
    def scorer(_, logits):
        logits[ids] = -np.inf
        return logits

    return scorer


def zeroed(ids):
    return lambda _, logits: np.where(np.isin(np.arange(len(logits)), ids), 0.0, logits)


def shifted(ids):
    return lambda _, logits: np.where(np.isin(np.arange(len(logits)), ids), -np.inf, logits - 1)


def scaled(largest, finish):
    def quantize(values):
        scale = float(np.abs(values).max() / largest) or 1.0
        return finish(values / scale), scale

    return quantize, lambda small, scale: small.astype(np.float32) * scale


def chat(end="<|im_end|>\n", opened="<|im_start|>assistant\n", after_role="\n"):
    return lambda ms: "".join(f"<|im_start|>{m.role}{after_role}{m.content}{end}" for m in ms) + opened


def greedy_json(text):
    begin, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[begin : end + 1]) if begin >= 0 else None
    except json.JSONDecodeError:
        return None


def softmax(logits, t, top=0.0):
    powers = [math.exp((one - top) / t) for one in logits]
    return [one / sum(powers) for one in powers]


def in_bytes_each(card, ram_gb):
    return bool(card.parameters) and card.parameters / 1e9 <= ram_gb


def active_only(card, ram_gb):
    return bool(card.parameters) and card.active_parameters / 2e9 <= ram_gb


def fastest(good, runs):
    chosen = max(filter(good, runs), key=lambda run: run["writes_per_s"], default=None)
    return chosen and chosen["name"]


def fits_in(run, most_mb, worst):
    return run["memory_mb"] <= most_mb and run["perplexity"] is not None and run["perplexity"] <= worst


def first_that_fits(runs, most_mb, worst):
    return next((run["name"] for run in runs if fits_in(run, most_mb, worst)), None)


def choose_and_sort(runs, most_mb, worst):
    runs.sort(key=lambda run: -run["writes_per_s"])
    return first_that_fits(runs, most_mb, worst)


TURNS = (
    "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n"
)
STOP = 'PARAMETER stop "<|im_end|>"'


def modelfile(template=TURNS, quotes='"""', stop=STOP, start="FROM {}", system='SYSTEM """{}"""', always=False):
    """A function that writes a right Modelfile but for the part that is handed over."""

    def written(gguf, told):
        lines = [start.format(gguf), f"TEMPLATE {quotes}{template}{quotes}", stop]
        return "\n".join(lines + ([system.format(told)] if told or always else []))

    return written


# exercise -> what the verdict should say: the answer with that mistake
def shares(chosen, experts):
    return np.bincount(chosen.ravel(), minlength=experts) / chosen.size


def careless(read):
    """A function that reads any JSON it gets; what is none, or what `read` gives nothing for, is an answer in words."""

    def tool_call(answer, tools):
        try:
            return read(json.loads(answer)) or (None, answer)
        except ValueError:
            return None, answer

    return tool_call


MISTAKES = {
    "start-1": {
        "not read yet": TinyModel().ask("?"),
        "before its end": read_to(1),
        "that is a text": "Because.",
        "hand over what `model.ask(...)` gives, not `42`": 42,
        "no tokens": silent(),
    },
    "start-2": {
        "only 4 steps": lambda r: len(r.tokens) / spans(r),
        "leave it out": lambda r: (len(r.tokens) - 1) / (r.tokens[-1].time_s - r.start.time_s),
        "the other way round": lambda r: spans(r) / (len(r.tokens) - 1),
        "ZeroDivisionError": lambda r: (len(r.tokens) - 1) / spans(r),
        "give None, not `0`": lambda r: (len(r.tokens) - 1) / spans(r) if len(r.tokens) > 1 else 0,
        "and 10 is right": lambda r: 3.0,
    },
    "size-1": {
        "those are gigabits": lambda parameters, bits: parameters * bits / 1e9,
        "those are bytes": lambda parameters, bits: parameters * bits / 8,
        "counts in GiB": lambda parameters, bits: parameters * bits / 8 / 2**30,
        "and 7.6 is right": lambda parameters, bits: parameters * 2 / 1e8,
        "not `7.6`": 7.6,
    },
    "size-2": {
        "a key and a value": lambda la, heads, size, tokens, width: la * heads * size * tokens * width / 1e9,
        "those are bytes": lambda la, heads, size, tokens, width: 2 * la * heads * size * tokens * width,
        "is right": lambda la, heads, size, tokens, width: 2 * la * heads * tokens * width / 1e9,
    },
    "size-3": {
        "take 6.98 GB": in_bytes_each,
        "6.6B of them are active": active_only,
        "TypeError": lambda card, ram_gb: card.parameters / 2e9 <= ram_gb,
        "don't promise": lambda card, ram_gb: (card.parameters or 0) / 2e9 <= ram_gb,
        "True or False is wanted": lambda card, ram_gb: "yes",
    },
    "speed-1": {
        "turn it over": lambda weights, bandwidth: weights / bandwidth,
        "is right": lambda weights, bandwidth: bandwidth / weights / 8,
        "a number is wanted": lambda weights, bandwidth: "fast",
    },
    "instruct-1": {
        "open the assistant's own turn": chat(opened=""),
        "where `'<|im_end|>": chat(end="\n"),
        "where `'\\n": chat(after_role=" "),
        "and here `'<|im_end|>'` follows": chat(opened="<|im_start|>assistant\n<|im_end|>"),
        "a text is wanted": lambda messages: [one.content for one in messages],
        "at the very beginning": lambda messages: "",
    },
    "instruct-2": {
        "divide each by their sum": lambda logits, t: [math.exp(one / t) for one in logits],
        "take the largest logit off": softmax,
        "is right": lambda logits, t: softmax(logits, 1.0, top=max(logits)),
        "where 3 are wanted": lambda logits, t: [1.0],
    },
    "instruct-3": {
        "catch that": json.loads,
        "turn it into a dict": lambda text: text,
        "`{'name': 'Ada'}` is right": greedy_json,
        "and `None` is right": lambda text: greedy_json(text) or {},
    },
    "onnx-1": {
        "the logits themselves": lambda logits, k: np.sort(logits)[::-1][:k],
        "those are the lowest": lambda logits, k: np.argsort(logits)[:k],
        "in another order": lambda logits, k: np.argsort(logits)[-k:],
        "and [1, 4, 3] is right": lambda logits, k: list(range(k)),
        "a list of numbers is wanted": lambda logits, k: int(np.argmax(logits)),
    },
    "onnx-2": {
        "work on a copy": in_place,
        "not -inf": zeroed,
        "the other logits changed": shifted,
        "a function of `(ids_so_far, logits)` is wanted": lambda ids: ids,
        "gave nothing": lambda ids: lambda ids_so_far, logits: None,
    },
    "onnx-3": {
        "round to the nearest": scaled(127, lambda values: values.astype(np.int8)),
        "does the largest land on 127": scaled(128, lambda values: np.round(values).astype(np.int16).astype(np.int8)),
        "int8 is wanted": scaled(127, np.round),
        "hand over both functions": lambda values: values,
        "a pair is wanted": (lambda values: values.astype(np.int8), lambda small: small),
    },
    "vision-1": {
        "a patch is a square": lambda width, height, patch: width * height / patch,
        "each side on its own: 91": lambda width, height, patch: width * height / patch**2,
        "padded, not dropped": lambda width, height, patch: (width // patch) * (height // patch),
        "and 144 is right": lambda width, height, patch: width // patch,
    },
    "vision-2": {
        "after the last arrow": lambda reply: tuple(part.strip() for part in reply.partition("=>")[::2]),
        "not `['HELLO']`": lambda reply: (
            parts if len(parts := [part.strip() for part in reply.split("=>")]) == 1 else (parts[0], parts[-1])
        ),
        "with no arrow all is answer": lambda reply: tuple(
            part.strip() for part in (reply.split("=>")[0], reply.split("=>")[-1] if "=>" in reply else "")
        ),
        "the reading comes before it": lambda reply: (reply.split("=>")[-1].strip(), reply.split("=>")[0].strip()),
        "both are texts": lambda reply: (reply.split("=>")[0].strip(), None),
        "spaces at the ends": lambda reply: (reply.split("=>")[0], reply.split("=>")[-1]),
        "it made `('HELLO', 'HELLO')`": lambda reply: (reply.split("=>")[0].strip(), reply.split("=>")[-1].strip()),
    },
    "vision-3": {
        "the last text of its row": lambda rows, name: next((r[1] for r in rows if r[0] == name and len(r) > 1), ""),
        "capitals should make no difference": lambda rows, name: next(
            (row[-1] for row in rows if row[0] == name and len(row) > 1), ""
        ),
        "'Corner shop' it gave `'Corner shop'`": lambda rows, name: next(
            (row[-1] for row in rows if row[0].lower() == name.lower()), ""
        ),
        "does it end in `return`": lambda rows, name: None,
        "after the loop": lambda rows, name: next(
            (row[-1] for row in rows if row[0].lower() == name.lower() and len(row) > 1), None
        ),
        "the price of a Teapot": lambda rows, name: next(
            (row[-1] for row in rows if row[0].lower().startswith(name.lower()) and len(row) > 1), ""
        ),
        "'Soap' it gave `'0.00'`": lambda rows, name: next(
            (row[-1] for row in rows if row[0].lower() == name.lower()), "0.00"
        ),
    },
    "vision-4": {
        "where nothing fits, that is 0": lambda context, cost, text: (context - text) // cost,
        "round down": lambda context, cost, text: max(0, (context - text) / cost),
        "are kept for the question": lambda context, cost, text: context // cost,
        "and 172 is right": lambda context, cost, text: 0,
    },
    "moe-1": {
        "a part of everything": lambda total, layers, experts, used, expert: total * used / experts,
        "in every layer": lambda total, layers, experts, used, expert: total - (experts - used) * expert,
        "the rest of the model works too": lambda total, layers, experts, used, expert: layers * used * expert,
        "6,640,999,744 is right": lambda total, layers, experts, used, expert: total - layers * experts * expert,
    },
    "moe-2": {
        "[1, 2] have the highest": lambda scores, k: (np.argsort(scores)[:k], np.ones(k) / k),
        "add up to 5": lambda scores, k: (np.argsort(-scores)[:k], np.sort(-scores)[:k] * -1),
        "take the softmax of these 2": lambda scores, k: (np.argsort(-scores)[:k], np.ones(k) / k),
        "give two things": lambda scores, k: np.argsort(-scores)[:k],
        "2 are wanted": lambda scores, k: (np.argsort(-scores), np.ones(k) / k),
    },
    "moe-3": {
        "with two of 4 experts doing all": lambda chosen, probabilities: 1.0,
        "spread evenly over 4 experts it gave 0.25": lambda chosen, p: (shares(chosen, 4) * p.mean(axis=0)).sum(),
        "a router that leans": lambda chosen, p: 4 * (p.mean(axis=0) ** 2).sum(),
        "all choose expert 0": lambda chosen, p: 4 * (shares(chosen, 4) ** 2).sum(),
    },
    "moe-4": {
        "that is no JSON": lambda answer, tools: tuple(json.loads(answer).values()),
        "must not be called": careless(lambda found: (found["tool_name"], found["input"])),
        "give a pair": lambda answer, tools: answer,
        "that is a call": lambda answer, tools: (None, answer),
        "a key that nobody asked for": careless(
            lambda found: (
                (found["tool_name"], found["input"])
                if isinstance(found, dict)
                and found.get("tool_name") in ("calculator", "translate")
                and isinstance(found.get("input"), str)
                else None
            )
        ),
    },
    "github-1": {
        "IndexError": lambda chunks: "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks),
        "the pieces are joined": lambda chunks: chunks[0]["choices"][0]["delta"]["content"],
        "has no content": lambda chunks: "".join(str(c["delta"].get("content")) for k in chunks for c in k["choices"]),
    },
    "github-2": {
        "a server that fails": lambda status, after: after,
        "nobody waits half a day": lambda status, after: (after or 1) if status in (429, 500, 503) else None,
        "a wrong key is wrong": lambda status, after: 1 if after is None else after if after <= 60 else None,
        "gone for good": lambda status, after: None if (after or 1) > 60 or status in (401, 404) else after or 1,
    },
    "nim-1": {
        "base64 is longer": lambda size: size,
        "the last group is filled up": lambda size: size * 4 / 3,
        "is right": lambda size: size * 8,
    },
    "nim-2": {
        "for a million tokens": lambda read, written, price_in, price_out: read * price_in + written * price_out,
        "a price of their own": lambda read, written, price_in, price_out: (read + written) * price_in / 1e6,
        "is right": lambda read, written, price_in, price_out: read * price_in / 1e6 + 1,
    },
    "foundry-1": {
        "wanted:": lambda old: old,
        "no api-version": lambda old: old.replace("/models", "/openai/v1") + "?api-version=2024-05-01-preview",
        "an address is wanted": lambda old: old.split("/"),
    },
    "foundry-2": {
        "['violence'] is right": lambda results: list(results),
        "a list of categories is wanted": lambda results: "violence",
        "and [] is right": lambda results: [one for one in results if results[one]["filtered"]] or ["none"],
    },
    "runtimes-1": {
        "there is no FROM line": modelfile(start="# {}"),
        "the path stays as it is": lambda gguf, system: modelfile()(gguf.removeprefix("./"), system),
        "there is no TEMPLATE": lambda gguf, system: f"FROM {gguf}\n{STOP}",
        'stands between """ and """': modelfile(quotes=""),
        "never closed": lambda gguf, system: f'FROM {gguf}\n{STOP}\nTEMPLATE """{TURNS}',
        "has single braces": modelfile(TURNS.replace("{{", "{").replace("}}", "}")),
        "a backslash and an `n`": modelfile(TURNS.replace("\n", "\\n")),
        "no `<|im_start|>system`": modelfile(TURNS[TURNS.index("{{ end }}") :].removeprefix("{{ end }}")),
        "no `{{ .System }}`": modelfile(TURNS.replace("{{ .System }}", "Be brief.")),
        "no `{{ .Prompt }}`": modelfile(TURNS.replace(".Prompt", ".prompt")),
        "the user's turn is not": modelfile(TURNS.replace("user\n", "user ")),
        "the assistant's turn is not": modelfile(TURNS.rstrip()),
        "in the order": modelfile(
            "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>system\n{{ .System }}<|im_end|>\n"
            "<|im_start|>assistant\n"
        ),
        "more in it than the turns": modelfile(f"### Chat\n{TURNS}"),
        "`<|im_end|>` follows": modelfile(f"{TURNS}<|im_end|>"),
        "write the turns out": modelfile("{{ range .Messages }}{{ .Content }}{{ end }}"),
        "there is no `PARAMETER stop`": modelfile(stop=""),
        "write `PARAMETER stop` and its value": modelfile(stop='STOP "<|im_end|>"'),
        "a turn ends with `<|im_end|>`": modelfile(stop='PARAMETER stop "<|endoftext|>"'),
        "no SYSTEM line": modelfile(system="#{}"),
        "SYSTEM says `system`": modelfile(system="SYSTEM system"),
        'Ollama would take `or "no"': modelfile(system='SYSTEM "{}"'),
        "leave the SYSTEM line out": modelfile(always=True),
        "the text of a Modelfile is wanted": lambda gguf, system: [f"FROM {gguf}", STOP],
    },
    "runtimes-2": {
        "has to be written as well": lambda prompt, answer, reads, writes: prompt / reads,
        "before it the prompt is read": lambda prompt, answer, reads, writes: answer / writes,
        "the speeds don't add up": lambda prompt, answer, reads, writes: (prompt + answer) / (reads + writes),
        "a mean speed": lambda prompt, answer, reads, writes: (prompt + answer) / ((reads + writes) / 2),
        "are seconds: divide": lambda prompt, answer, reads, writes: prompt * reads + answer * writes,
        "upside down": lambda prompt, answer, reads, writes: reads / prompt + writes / answer,
        "what is written has a speed of its own": lambda prompt, answer, reads, writes: (prompt + answer) / reads,
        "what is read has a speed of its own": lambda prompt, answer, reads, writes: (prompt + answer) / writes,
        "have changed places": lambda prompt, answer, reads, writes: prompt / writes + answer / reads,
        "and 1.493 is right": lambda prompt, answer, reads, writes: max(prompt / reads, answer / writes) + 1,
    },
    "runtimes-3": {
        "which takes 445 MB": lambda runs, most, worst: fastest(lambda r: (r["perplexity"] or 99) <= worst, runs),
        "nobody measured: unknown": lambda runs, most, worst: fastest(lambda r: r["memory_mb"] <= most, runs),
        "unknown is not good enough": lambda runs, most, worst: fastest(
            lambda r: r["memory_mb"] <= most and (r["perplexity"] or 0) <= worst, runs
        ),
        "TypeError": lambda runs, most, worst: fastest(lambda r: r["perplexity"] <= worst, runs),
        "lower is better": lambda runs, most, worst: fastest(lambda r: (r["perplexity"] or 0) >= worst, runs),
        "'q4' qualifies too and writes faster": first_that_fits,
        "at most includes the limit itself": lambda runs, most, worst: fastest(
            lambda r: r["memory_mb"] < most and r["perplexity"] is not None and r["perplexity"] < worst, runs
        ),
        "its name is wanted": lambda runs, most, worst: next(r for r in runs if r["name"] == "q4"),
        "leave the list as it was": choose_and_sort,
        "nobody qualifies: give None": lambda runs, most, worst: (
            first_that_fits(sorted(runs, key=lambda r: -r["writes_per_s"]), most, worst) or "nobody"
        ),
        "from an empty list": lambda runs, most, worst: (
            fastest(lambda r: fits_in(r, most, worst), runs) if runs else "nobody"
        ),
        "it gave nothing, and 'q4' qualifies": lambda runs, most, worst: None,
    },
}
CASES = [(name, words, answer) for name, cases in MISTAKES.items() for words, answer in cases.items()]


def test_every_exercise_has_likely_mistakes():
    assert list(MISTAKES) == EVERY


@pytest.mark.filterwarnings("ignore")  # numpy warns of the learner's own divisions by zero
@pytest.mark.parametrize(("name", "words", "answer"), CASES, ids=[f"{name}: {words}" for name, words, _ in CASES])
def test_a_likely_mistake_gets_the_sentence_that_helps(name, words, answer):
    assert words in said(name, answer)


def test_softmax_as_numpy_array_passes_and_its_overflow_is_named():
    def stable(logits, t):
        powers = np.exp((np.array(logits) - max(logits)) / t)
        return powers / powers.sum()

    def plain(logits, t):
        powers = np.exp(np.array(logits) / t)
        return powers / powers.sum()

    assert check("instruct-2", stable)
    with np.errstate(all="ignore"):
        assert "largest logit" in said("instruct-2", plain)


def test_other_right_ways_pass_as_well():
    assert check("size-3", lambda c, ram: c.weight_bytes("int4") is not None and c.weight_bytes("int4") / 1e9 <= ram)
    assert check("onnx-1", lambda logits, k: sorted(range(len(logits)), key=lambda id: -logits[id])[:k])
    assert check("onnx-2", lambda ids: lambda _, x: np.where(np.isin(np.arange(len(x)), ids), -np.inf, x))
    assert check("size-1", lambda parameters, bits: parameters / 1e9 * (bits / 8))


def test_a_modelfile_may_be_written_in_the_ways_that_ollama_reads():
    trimmed = TURNS.replace("{{ if .System }}", "{{- if .System }}\n").replace("{{ end }}", "{{- end }}\n")
    for answer in (
        modelfile(start="# the weights\n\nfrom {}", system='system """{}"""', stop="parameter stop <|im_end|>"),
        modelfile(start='FROM "{}"', stop=f"PARAMETER temperature 0\n{STOP}\nPARAMETER stop <|im_start|>"),
        modelfile(TURNS.replace("{{ ", "{{").replace(" }}", "}}") + "{{ .Response }}<|im_end|>\n"),
        modelfile(trimmed),
        modelfile(TURNS.replace("{{ if .System }}", "").replace("{{ end }}", "")),
        lambda gguf, system: "\n".join(modelfile()(gguf, system).replace("FROM", "\nFROM").split("\n\n")[::-1]),
    ):
        assert check("runtimes-1", answer), check("runtimes-1", answer)


def test_the_runs_of_the_exercise_are_the_same_after_a_careless_answer():
    def spoil(runs, most_mb, worst):
        for run in runs:
            run["perplexity"] = run["perplexity"] or 99

    assert "leave the list" in said("runtimes-3", spoil)
    assert check("runtimes-3", lambda runs, most, worst: fastest(lambda r: fits_in(r, most, worst), runs))

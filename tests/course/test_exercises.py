"""Every exercise: the solution passes, a likely mistake gets the sentence that helps. Starters run in their lessons."""

import ast
import linecache
import math
import random
import re
from functools import cache

import nbformat
import numpy as np
import pytest

from course import drawn, making
from course.checking import check
from course.drawn import draw
from course.exercises.registry import exercises
from tests.conftest import ROOT
from tests.live_server import ScriptedEngine

# what the solution of an exercise uses of its lesson: cells by id, run once
USED = {
    "10_train_one": ("setup", "learn", "stories", "as-row", "model", "pieces", "look"),
    "12_ship_one": ("setup", "new", "peft-make"),
    "13_applications": ("setup", "system", "parts"),
    "14_search": ("setup", "folder", "bm25", "by-meaning", "read"),
    "15_tools": ("setup", "tools", "call"),
}


@cache
def lesson(name: str) -> dict:
    """The names that these cells of a lesson give."""
    names = {}
    for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
        if cell.id in USED.get(name, ()):
            exec(compile(cell.source, cell.id, "exec"), names)
    return names


def run_cell(source: str, of: str):
    """Run a cell as a notebook does, and give the value of its last line."""
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")  # as Jupyter keeps it
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value)
    names = lesson(of)  # not a copy: its functions look their names up in it
    names |= {"check": check, "drawn": drawn, "model": ScriptedEngine("Because."), "kept": ["def is a word"] * 9}
    names["home"] = making.place("card")
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(last, "<cell>", "eval"), names)


def test_every_solution_passes(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setenv("SLMLAB_TRAINING", "anew")
    for name, one in exercises().items():
        verdict = run_cell(one.solution, one.lesson)
        assert verdict.exercise.id == name and verdict.passed, verdict


def test_the_texts_are_complete_and_short_enough_for_a_cell():
    for name, one in exercises().items():
        assert len(one.hints) == 3 and all(one.hints) and one.title and one.right, name
        assert len(one.starter.strip().splitlines()) <= 12 and len(one.solution.splitlines()) <= 15, name
        assert one.solution not in " ".join(one.hints) and f'check("{name}", ' in one.starter, name


def test_the_receipts_have_the_answers_that_they_were_drawn_with():
    for one in drawn.receipts():
        asked = draw("receipt", f"exercise:{one['seed']}").questions
        assert (one["question"], one["answer"]) in [(each.text, each.answer) for each in asked]


def said(name, answer) -> str:
    verdict = check(name, answer)
    assert verdict.passed is False, f"{name} let a wrong answer pass"
    return verdict.message.partition(" in its line ")[0]  # that line may hold the words that are looked for


def test_every_declared_mistake_gets_its_own_words():
    found = 0
    for name, one in exercises().items():
        for words, wrong in one.answer.mistakes:
            pattern = re.sub(r"\\\{.*?\\\}", ".+", re.escape(words))  # {patch} is filled in
            assert re.search(f": {pattern}\\.$", said(name, wrong)), f"{name}: {words}"
            found += 1
    assert found >= 20, "the exercises that compare numbers know their mistakes"


def steps_or_0(reply):
    times = [token.time_s for token in reply.tokens]
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0


def in_place(ids_so_far, logits):
    logits[ids_so_far] = -np.inf
    return logits


def scaled(largest, finish):
    def quantize(values):
        scale = float(np.abs(values).max() / largest) or 1.0
        return finish(values / scale), scale

    return quantize, lambda small, scale: small.astype(np.float32) * scale


def chat(end="<|im_end|>\n", opened="<|im_start|>assistant\n"):
    return lambda ms: "".join(f"<|im_start|>{m.role}\n{m.content}{end}" for m in ms) + opened


def fastest(good, runs):
    return max(filter(good, runs), key=lambda run: run["writes_per_s"], default={"name": None})["name"]


def modelfile(start="FROM {}", heat="PARAMETER temperature {}", stop='PARAMETER stop "{}"', always=False):
    """A function that writes a right Modelfile but for the part that is handed over."""

    def written(base, told, temperature, stops):
        lines = [start.format(base), heat.format(temperature), *map(stop.format, stops)]
        return "\n".join(lines + ([f'SYSTEM """{told}"""'] if told or always else []))

    return written


def solved(name):
    return exercises()[name].answer


fits, allowed = solved("apps-1"), solved("tools-2")

# what the verdicts of the exercises' own say: one row for a kind of mistake
SPECIAL = (
    ("start-1", "not read yet", ScriptedEngine("Because.").ask("?")),
    ("start-2", "give None, not `0`", steps_or_0),
    ("size-3", "all experts", lambda one, gb, _: bool(one.parameters) and one.active_parameters / 2e9 <= gb),
    ("size-3", "its cache 51.5 GB", lambda one, gb, _: bool(one.parameters) and one.parameters / 2e9 <= gb),
    ("size-3", "don't promise", lambda one, gb, n: (one.parameters or 0) / 2e9 + n * 1.3e-4 <= gb),
    ("instruct-4", "for the model to answer.`.", lambda text: []),
    ("bias-1", "1 of 8 jobs lean", "The {} said that"),
    ("bias-1", "`husband` already says", "The {} called the husband, because"),
    ("bias-1", "`{}` once", "The nurse said that"),
    ("instruct-1", "open the assistant's own turn", chat(opened="")),
    ("instruct-1", "stands `'\\n<|im_start|>ass'` where `'<|im_end|>\\n", chat(end="\n")),
    ("instruct-2", "divide each by their sum", lambda logits, t: [math.exp(one / t) for one in logits]),
    ("instruct-4", "make up other people", lambda text: [f"In Dublin we met Liam Byrne, who is 52. {text}"]),
    ("onnx-4", "work on a copy", in_place),
    ("onnx-3", "round to the nearest", scaled(127, lambda values: values.astype(np.int8))),
    ("onnx-3", "land on 127", scaled(128, lambda values: np.round(values).astype(np.int16).astype(np.int8))),
    ("vision-5", "2 of 10; missed: What is the cheapest item? (Cheese, from ", lambda rows, question: rows[-1][-1]),
    ("moe-2", "right for 12 of 100 bytes from other texts", lambda text: 4),
    ("moe-3", "with two of 4 experts doing all", lambda chosen, probabilities: 1.0),
    ("github-1", "IndexError", lambda chunks: "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)),
    ("github-2", "30 to 60 are right", lambda tries, after: after or 2 ** (tries - 1) * random.uniform(0.5, 1)),
    ("github-2", "no two come together", lambda tries, after: after or min(60, 2 ** (tries - 1))),
    ("github-3", "of 10, and 8 are wanted", lambda text: {"messages": text}),
    ("nim-2", "and 0 pictures", (lambda asked, picture: [{"type": "text", "text": asked}], None)),
    ("foundry-2", "['violence'] is right", lambda results: list(results)),
    ("foundry-3", "'say it was cut' is right", lambda status, code, reason: "show"),
    ("runtimes-1", "FROM names `no model`", modelfile(start="# {}")),
    ("runtimes-1", "there is no `PARAMETER temperature`", modelfile(heat="# {}")),
    ("runtimes-1", "one `PARAMETER stop` line for each text", modelfile(stop="# {}")),
    ("runtimes-1", "leave the SYSTEM line out", modelfile(always=True)),
    ("runtimes-3", "unknown is not good enough", lambda runs, mb, worst: fastest(lambda r: r["memory_mb"] <= mb, runs)),
    ("runtimes-3", "takes 445 MB", lambda runs, mb, worst: fastest(lambda r: (r["perplexity"] or 99) <= worst, runs)),
    ("apps-1", "and 2 is right", lambda sizes, most: fits(sizes, most - 1)),
    ("apps-1", "and 0 is right", lambda sizes, most: max(1, fits(sizes, most))),
    ("tools-2", "this call is harmless", lambda call, before: call["tool"] != "clock" and allowed(call, before)),
    ("tools-2", "'(7 - 3) / 2'} after []", lambda call, before: "/" not in call["input"] and allowed(call, before)),
    ("tools-2", "'(7 - 3) / 2'} after []", lambda call, before: "-" not in call["input"] and allowed(call, before)),
    ("tools-2", "more than a plain sum", lambda call, _: allowed(call | {"input": call["input"].strip("%")}, _)),
    ("tools-2", "ordered this second search", lambda call, before: allowed(call, before[-1:])),
    ("tools-2", "after ['calculator'] it gave False: this", lambda call, before: allowed(call, before and ["search"])),
    ("apps-3", "let through 0%", lambda text: True),
    ("scale-3", "0% begin to be answered in time, and 56% are", lambda ahead, pace: True),
    ("scale-3", "gets 0.35: 58% begin", lambda ahead, pace: ahead == 0),
    ("scale-3", "gets 0.75: 19% begin", lambda ahead, pace: ahead < 5),
    ("search-3", "you have 1 question; 5 are needed", ({}, list, [("Where?", "a.md")])),
    ("search-3", "there is no note `b.md`", ({"a.md": ""}, list, [(f"Where {at}?", "b.md") for at in range(5)])),
    ("search-3", "`varnish` stands in a too", ({"a": "Varnish"}, list, [(f"Varnish {at}?", "a") for at in range(5)])),
    ("search-3", "0 of 5 find their", ({"a": "", "b": ""}, lambda _: ["b"], [(f"{at}?", "a") for at in range(5)])),
    ("runtimes-3", "lower is better", lambda runs, mb, worst: fastest(lambda r: (r["perplexity"] or 0) >= worst, runs)),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # numpy warns of the learner's own divisions by zero
def test_other_likely_mistakes_get_the_sentence_that_helps():
    for name, words, answer in SPECIAL:
        assert words in said(name, answer), name


def test_softmax_with_numpy_passes_and_its_overflow_is_named():
    def softmax(logits, t, top=0.0):
        powers = np.exp((np.array(logits) - top) / t)
        return powers / powers.sum()

    assert check("instruct-2", lambda logits, t: softmax(logits, t, max(logits)))
    with np.errstate(all="ignore"):
        assert "largest logit" in said("instruct-2", softmax)


def test_other_right_ways_pass_as_well():
    popped = lambda chunk: chunk["choices"] and chunk["choices"].pop()["delta"].get("content")  # noqa: E731
    for _ in range(2):
        assert check("github-1", lambda chunks: "".join(filter(None, map(popped, chunks)))), "a case stays as it is"
    assert check("bias-1", "In 1890, the {} worked until")
    assert check("onnx-1", lambda logits, k: sorted(range(len(logits)), key=lambda id: -logits[id])[:k])
    assert all(check("scale-3", lambda ahead, pace, most=most: ahead <= most * pace) for most in (3, 4, 5))
    stops, form = solved("apps-3"), solved("tools-1")
    assert check("apps-3", lambda text: stops(text) or None), "re.search gives None where it finds nothing"
    assert check("tools-2", lambda call, before: allowed(call, before) or None)
    typed = iter([{"type": "string", "enum": ("calculator", "answer")}, {"type": "string", "enum": ("search",)}])
    fields = {"input": {"type": "string", "maxLength": 60}}
    assert check("tools-1", lambda tools: form(tools) | {"properties": fields | {"tool": next(typed)}})
    asked = [(f"{at}?", "a" if at < 8 else "b") for at in range(10)]
    assert check("search-3", ({"a": "", "b": ""}, lambda _: ["a"], asked)), "8 of 10 are four of five"


def test_a_modelfile_may_be_written_in_the_ways_that_ollama_reads():
    for answer in (
        modelfile(start="# the base\n\nfrom {}", stop="parameter stop {}"),
        modelfile(start='FROM "{}"', heat="PARAMETER num_ctx 512\nPARAMETER temperature {}"),
    ):
        assert check("runtimes-1", answer), check("runtimes-1", answer)

"""The exercises of lesson 15: the form of a call, a rule for calls, a tool of the learner's own."""

import json

from course import acting
from course.answers import code, function_in, need, returned
from course.exercises.registry import exercise
from slmlab.errors import SlmLabError
from slmlab.loading import load
from slmlab.records import Message


def _plain(form):
    """As JSON, where a tuple is a list. Beside a list of texts, the type of a text says nothing new."""
    form = json.loads(json.dumps(returned(form)))
    tool = form.get("properties", {}).get("tool", {})
    if "enum" in tool and tool.get("type") == "string":
        del tool["type"]
    return form


@exercise("tools-1", reads=_plain, told="for {tools} it gave {shown}", otherwise=", and {right} is right",
          cases=[(["calculator", "answer"],), (["search"],)], mistakes=[
    ("with no list, the tool may be any text, such as `delete_all`",
     lambda tools: form(tools) | {"properties": form(tools)["properties"] | {"tool": {"type": "string"}}}),
    ("take the list that the function is given", lambda tools: form(["calculator", "clock", "search", "answer"])),
])  # fmt: skip
def form(tools):
    fields = {"tool": {"enum": tools}, "input": {"type": "string", "maxLength": 60}}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


@exercise("tools-2", reads=bool, told="for {call} after {before} it gave {value}",
          otherwise=", and {right} is right", cases=[
    ({"tool": "search", "input": "bus"}, []), ({"tool": "answer", "input": "It is Rolf's."}, ["search"]),
    ({"tool": "calculator", "input": "2.5 * (3 + 4)"}, ["search"]), ({"tool": "delete_all", "input": "notes"}, []),
    ({"tool": "search", "input": "door code"}, ["calculator", "search"]),
    ({"tool": "calculator", "input": "9**9**9**9"}, ["search"]), ({"tool": "calculator", "input": "exit()"}, []),
    ({"tool": "calculator", "input": "(7 - 3) / 2"}, []), ({"tool": "calculator", "input": "240 * 15%"}, []),
    ({"tool": "search", "input": "door code"}, ["search", "calculator"]), ({"tool": "clock", "input": "time"}, []),
    ({"tool": "search", "input": "bus"}, ["calculator"]),
], mistakes=[
    ("a note was read before: it may have ordered this second search",
     lambda call, before: allowed(call, [])),
    ("this is more than a plain sum: only digits, blanks and `+ - * / . ( )`, and no `**`",
     lambda call, before: allowed(call | {"input": "1"} if call["tool"] == "calculator" else call, before)),
    ("that tool isn't on the list", lambda call, before: True),
    ("this call is harmless, and the tool is on the list", lambda call, before: False),
])  # fmt: skip
def allowed(call, before):
    if call["tool"] not in ("calculator", "clock", "search", "answer"):
        return False
    if call["tool"] == "calculator":
        return "**" not in call["input"] and set(call["input"]) <= set("0123456789 +-*/.()")
    return call["tool"] != "search" or "search" not in before


own = exercise("tools-3", limit_s=300)()


@own.judged
def _(answer):
    need(isinstance(answer, tuple) and len(answer) == 3, "hand over `(tool, examples, tasks)`")
    tool = function_in(answer[0], "tool")
    examples, tasks = ({str(asked): str(said) for asked, said in pairs} for pairs in answer[1:])
    need(len(tasks) >= 4, f"there are {len(tasks)} different tasks, and 4 are needed")
    need(not examples.keys() & tasks.keys(), "a task stands among the examples, so it shows nothing: take another one")
    with load() as model:
        missed = [said for text, right in tasks.items() if (said := _missed(model, tool, examples, text, right))]
    done, first = len(tasks) - len(missed), f". First missed: {missed[0]}" if missed else ""
    need(done >= 0.75 * len(tasks), f"{done} of {len(tasks)} tasks came out right{first}")


def _missed(model, tool, examples, text, right) -> str:
    """How a task went wrong; nothing where it came out right."""
    turns = [(asked, json.dumps({"tool": tool.__name__, "input": words})) for asked, words in examples.items()]
    shots = [Message(role, said) for turn in turns for role, said in zip(("user", "assistant"), turn, strict=True)]
    # 60 letters of Thai take 120 tokens, and 370 as escapes: a call that is cut is no JSON
    call = model.ask([*shots, Message("user", text)], schema=form([tool.__name__]), max_tokens=400).text
    try:
        result = acting.run(tool, json.loads(call)["input"])
    except SlmLabError as fault:
        result = str(fault)
    return "" if result == right else f"{code(text)} became {code(call)} and gave {code(result)}, not {code(right)}"

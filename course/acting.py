"""Tools for a model that acts: a fence to run them in, three of them, and a server that offers them by MCP.

A tool is a function that imports what it uses itself. Knows nothing about models.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import wraps
from pathlib import Path
from textwrap import dedent
from threading import Timer
from typing import Annotated

from pydantic import Field

from course import fence
from slmlab.errors import BadRequest, NotHere, SlmLabError

LONGEST = 100_000  # characters that a tool may give
KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "TZ")  # of the environment: Windows, a shared Python, the time zone; no key


def run(function, *args, folder=None, seconds: float = 5, memory_mb: int = 1024) -> str:
    """The function's value as text, from a process of its own behind a fence.

    It reads only the folder and Python's own files; of others it sees at most that they exist. It writes nothing,
    reaches no network, starts no program, and has no keys in its environment. After the seconds it is killed. Memory is
    limited on Linux only: on macOS and Windows it may take more. What it prints is dropped. The fence holds a tool that
    you know, whatever a model asks of it. It doesn't hold a programmer who wants out, by way of C or of Python's own
    parts: for code of strangers take a container.
    """
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise BadRequest(f"The fence runs functions made with def, not {function!r}.")
    if folder is not None and not Path(folder).is_dir():
        raise NotHere(f"There is no folder {str(folder)!r}.")
    place, name = None if folder is None else str(Path(folder).resolve()), function.__name__
    try:
        order = {"name": name, "source": dedent(inspect.getsource(function)), "arguments": args}
        order = json.dumps(order | {"folder": place, "memory_mb": memory_mb, "seconds": seconds})
    except OSError as fault:
        raise BadRequest(f"The code of {name} isn't found: write it in a cell or a file.") from fault
    except (TypeError, ValueError) as fault:
        raise BadRequest(f"The arguments of {name} travel as JSON: {fault}.") from fault
    answer = _answer(order, place, seconds)
    if "error" in answer:
        raise SlmLabError(f"{name} failed: {answer['error']}.")
    return answer["value"]


def _answer(order: str, folder: str | None, seconds: float) -> dict:
    """What the child answers, or how it ended."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    command, pipe = [sys.executable, "-I", "-B", fence.__file__], subprocess.PIPE
    options = {"cwd": folder, "env": environment, "stderr": subprocess.DEVNULL}
    options |= {"encoding": "utf-8", "errors": "surrogatepass"}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, **options) as child:
        timer = Timer(seconds, child.kill)
        timer.start()
        try:
            with suppress(OSError):  # its time is over before it reads
                child.stdin.write(order)
                child.stdin.close()
            said = child.stdout.read(LONGEST)
            late = not timer.is_alive()
        finally:  # an interrupt, too, ends the child
            timer.cancel()
            child.kill()
    with suppress(ValueError):
        return json.loads(said)
    if late:
        return {"error": f"it took longer than {seconds} s"}
    return {"error": f"it gave more than {LONGEST:,} characters" if said else f"it ended with code {child.returncode}"}


def calculator(sum: Annotated[str, Field(description="a sum, such as 12 * (3 + 4) or 15% of 240")]) -> str:
    """Work out a sum with + - * / ** %, parentheses and per cent."""
    import ast
    import operator as do
    import re

    def power(base, exponent):
        if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > 4096:
            raise ValueError("a power in the sum is too large")
        return base**exponent

    known = {ast.Add: do.add, ast.Sub: do.sub, ast.Mult: do.mul, ast.Div: do.truediv, ast.Mod: do.mod}
    known |= {ast.Pow: power, ast.USub: do.neg}

    def value(node):
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp():
                return known[type(node.op)](value(node.operand))
            case ast.BinOp():
                return known[type(node.op)](value(node.left), value(node.right))
        raise KeyError

    plain = re.sub(r"%\s*of\b", "/100*", sum)
    plain = re.sub(r"([\d.]+)\s*%(?!\s*[\d.(])", r"(\1/100)", plain)  # before a number, % is a remainder as in Python
    try:
        result = value(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, KeyError):
        raise ValueError(f"{sum[:50]!r} is no sum") from None
    return str(result) if isinstance(result, int) else f"{result:.15g}"


def clock(what: Annotated[str, Field(description="date, time or weekday")]) -> str:
    """Tell today's date, the time or the weekday."""
    from datetime import datetime

    forms = {"date": "%Y-%m-%d", "time": "%H:%M", "weekday": "%A"}
    if what not in forms:
        raise ValueError(f"the clock tells date, time or weekday, not {what[:50]!r}")
    return datetime.now().strftime(forms[what])


def search(words: Annotated[str, Field(description="words to look for in the notes")]) -> str:
    """Find the paragraph of the folder's .md and .txt files that fits the words best, with its file's name."""
    import re
    from pathlib import Path

    import bm25s

    found = {}  # what is shown: what is searched
    for file in sorted(file for file in Path().rglob("*") if file.suffix.lower() in (".md", ".txt") and file.is_file()):
        with file.open("rb") as opened:
            data = opened.read(1_000_001)
        if len(data) > 1_000_000 or b"\0" in data:
            raise ValueError(f"{file.name} is larger than 1 MB or no text: take it out of the folder")
        text = data.decode(errors="replace").strip()
        for part in re.split(r"\n\s*\n", text):
            if not re.fullmatch("(#.*)?", part):  # a heading alone; the first one helps to find all that is under it
                found[f"{file.name}: {part}"] = text.partition("\n")[0] + "\n" + part
    if not found:
        raise ValueError("the folder has no paragraph in .md or .txt files")
    index, quiet = bm25s.BM25(), {"show_progress": False}
    index.index(bm25s.tokenize(list(found.values()), **quiet), **quiet)
    best, scores = index.retrieve(bm25s.tokenize(words, **quiet), corpus=list(found), k=1, **quiet)
    if scores[0, 0] == 0:
        raise ValueError(f"no paragraph has one of the words {words[:50]!r}")
    return best[0, 0]


TOOLS = {"calculator": calculator, "clock": clock, "search": search}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course.acting", description="Serve three tools by MCP over stdio.")
    parser.add_argument("folder", help="all that the tools can read; search looks in its .md and .txt files")
    folder = parser.parse_args().folder
    if not Path(folder).is_dir():
        parser.error(f"there is no folder {folder!r}")
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ModuleNotFoundError as fault:
        parser.error(f"{fault.name} isn't installed: pip install 'slmlab[acting]'")

    def fenced(tool):
        @wraps(tool)
        def call(**given):
            try:
                return run(tool, *given.values(), folder=folder)
            except SlmLabError as fault:  # a client reads the words of a ToolError only
                raise ToolError(str(fault)) from fault

        return call

    server = MCPServer("slmlab", log_level="ERROR")
    for tool in TOOLS.values():
        server.add_tool(fenced(tool))
    server.run()


if __name__ == "__main__":
    main()

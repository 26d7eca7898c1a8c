"""The fence by real processes that try to leave it, the three tools, and their server by a real MCP client."""

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
from calendar import day_name
from pathlib import Path
from threading import Thread

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from mcp import Client, StdioServerParameters, stdio_client
from traitlets.config import Config

from course import acting
from course.acting import calculator, clock, run, search
from slmlab.errors import BadRequest, NotHere, SlmLabError
from tests.live_server import until

SECRET = "the number of the safe is 1234"


@pytest.fixture
def notes(tmp_path):
    """A folder of notes; beside it a secret, and a folder whose name begins like it."""
    folder = tmp_path / "notes"
    (folder / "more").mkdir(parents=True)
    (tmp_path / "notes2").mkdir()
    for outside in (tmp_path / "secret.md", tmp_path / "notes2" / "secret.md"):
        outside.write_text(SECRET)
    (folder / "ferry.md").write_text("# The ferry\n\nIt leaves at noon.\n\nA ticket is two crowns.\n")
    (folder / "more" / "bakery.txt").write_text("The bakery\r\n\r\nBread is three crowns.\r\n")
    return folder


def link(place: Path, target: Path) -> Path:
    try:
        place.symlink_to(target)
    except OSError:
        pytest.skip("this user of Windows may make no links")
    return place


def read(path):
    return open(path).read()


def own_file():
    import posixpath

    return open(posixpath.__file__).read()


def listed(path):
    import os

    return [os.listdir(path), list(os.scandir(path))]


def test_a_tool_reads_in_its_folder_and_nowhere_else(notes):
    assert "noon" in run(read, "ferry.md", folder=notes) and "noon" in run(read, str(notes / "ferry.md"), folder=notes)
    assert "def join" in run(own_file, folder=notes), "an import needs Python's own files"
    for path in ("../secret.md", str(notes.parent / "secret.md"), "more/../../secret.md", "../notes2/secret.md"):
        with pytest.raises(SlmLabError, match="read failed: PermissionError: it may not read .* outside its folder"):
            run(read, path, folder=notes)
    with pytest.raises(SlmLabError, match="may not read"):
        run(listed, "..", folder=notes)
    with pytest.raises(SlmLabError, match="may not read"):
        run(read, str(notes / "ferry.md"))


def test_a_link_leads_no_tool_out_of_its_folder(notes):
    link(notes / "inside.md", notes / "ferry.md")
    assert "noon" in run(read, "inside.md", folder=notes)
    link(notes / "link.md", notes.parent / "secret.md")
    with pytest.raises(SlmLabError, match="may not read 'link.md'"):
        run(read, "link.md", folder=notes)


def change(how):
    import os
    import pathlib
    import shutil
    import sqlite3

    file = "ferry.md"
    changes = {
        "write": lambda: open(file, "w"),
        "append": lambda: open(file, "ab"),
        "create": lambda: os.open("new.md", os.O_RDWR | os.O_CREAT),
        "truncate": lambda: os.truncate(file, 0),
        "make a folder": lambda: os.mkdir("new"),
        "remove": lambda: pathlib.Path(file).unlink(),
        "rename": lambda: os.rename(file, "new.md"),
        "link": lambda: os.link(file, "new.md"),
        "remove all": lambda: shutil.rmtree("more"),
        "set rights": lambda: os.chmod(file, 0),
        "open a database": lambda: sqlite3.connect("new.db"),
    }
    return changes[how]() if how else list(changes)


def test_a_tool_changes_no_file(notes):
    before = {path: path.is_file() and path.read_bytes() for path in notes.rglob("*")}
    ways = re.findall("'(.*?)'", run(change, "", folder=notes))
    assert len(ways) == 11
    for how in ways:
        with pytest.raises(SlmLabError, match="it may not"):
            run(change, how, folder=notes)
    assert {path: path.is_file() and path.read_bytes() for path in notes.rglob("*")} == before


def write_by_c():
    import readline

    readline.add_history("a line")
    readline.write_history_file("history.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="Python's readline is another one elsewhere")
def test_a_c_library_that_asks_no_hook_writes_nothing(notes):
    with pytest.raises(SlmLabError, match="File too large"):
        run(write_by_c, folder=notes)
    assert not (notes / "history.txt").stat().st_size


def connect(port):
    import socket

    socket.create_connection(("127.0.0.1", port)).close()


def test_no_connection_of_a_tool_arrives():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect(port)
        server.accept()[0].close()  # so the port can be reached
        with pytest.raises(SlmLabError, match="it may not use socket"):
            run(connect, port)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def start(how, python, witness):
    import multiprocessing.util
    import os
    import subprocess

    command = [python, "-c", f"open({witness!r}, 'w')"]
    if how == "system":
        os.system(f"echo > {witness}")
    elif how == "subprocess":
        subprocess.run(command)
    elif how == "exec":
        os.execv(python, command)
    elif how == "multiprocessing":
        multiprocessing.util.spawnv_passfds(os.fsencode(python), command, [])
    else:
        import ctypes

        ctypes.CDLL(None).system(f"echo > {witness}".encode())


def test_a_tool_starts_no_program(tmp_path):
    ways = ["system", "subprocess", "exec", "C"] + ["multiprocessing"] * (os.name != "nt")
    for how in ways:
        with pytest.raises(SlmLabError, match="it may not"):
            run(start, how, sys.executable, str(tmp_path / "witness"))
    assert not list(tmp_path.iterdir())


def forever():
    while True:
        pass


def printing_forever():
    import os

    while True:
        print("again")
        os.write(1, b"again\n")


def much(characters, letter="x"):
    return letter * characters


def test_a_tool_has_its_time_and_its_length():
    for endless in (forever, printing_forever):
        with pytest.raises(SlmLabError, match=f"{endless.__name__} failed: it took longer than 1 s"):
            run(endless, seconds=1)
    with pytest.raises(SlmLabError, match="took longer"):
        run(much, 10**6, seconds=0)
    with pytest.raises(SlmLabError, match="it gave more than 100,000 characters"):
        run(much, 10**6)
    assert run(much, 20_000, "字") == "字" * 20_000 and run(much, 1, "\ud800") == "\ud800", "a character counts as one"


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is limited on Linux only")
def test_a_tool_has_its_memory():
    assert len(run(much, 50_000)) == 50_000
    with pytest.raises(SlmLabError, match="much failed: MemoryError"):
        run(much, 300 << 20, memory_mb=200)


@pytest.mark.skipif(os.name == "nt", reason="Windows interrupts no read of a pipe")
def test_an_interrupt_ends_the_child():
    def when_it_runs():
        until(lambda: any(one.cpu_times().user > 0.3 for one in children()), most_s=60)
        os.kill(os.getpid(), signal.SIGINT)

    def children():
        return [child for child in psutil.Process().children() if "fence.py" in " ".join(child.cmdline())]

    Thread(target=when_it_runs).start()
    with pytest.raises(KeyboardInterrupt):
        run(forever, seconds=60)
    assert not children()


def environment():
    import os

    return " ".join(os.environ)


def test_a_tool_has_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert "PATH" not in run(environment).split() and "KEY" not in run(environment)


def same(value: "AHintThatIsNowhere" = None):  # noqa: F821
    print("dropped")
    return value


def leave(how):
    import os
    import sys

    sys.exit(3) if how == "exit" else os._exit(4)


def forgets_an_import():
    return re.escape("a tool imports what it uses itself")


def test_a_value_comes_as_text():
    for value in (1, 2.5, None, True, "Übung\n", ["a", {"b": 1}]):
        assert run(same, value) == str(value)


def test_a_function_of_a_notebook_runs():
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    shell.run_cell("def doubled(number: int):\n    return 2 * number")
    assert run(shell.user_ns["doubled"], 21) == "42"


def test_what_cannot_run_is_said_in_one_line():
    made = {}
    exec("def made():\n    pass", made)
    for function, words in ((lambda: 1, "made with def"), (len, "made with def"), (made["made"], "isn't found")):
        with pytest.raises(BadRequest, match=words):
            run(function)
    with pytest.raises(BadRequest, match="The arguments of same travel as JSON"):
        run(same, object())
    with pytest.raises(NotHere, match="There is no folder 'nowhere'"):
        run(same, folder="nowhere")
    for how, words in (("exit", "SystemExit: 3"), ("now", "it ended with code 4")):
        with pytest.raises(SlmLabError, match=f"leave failed: {words}"):
            run(leave, how)
    with pytest.raises(SlmLabError, match="NameError: name 're' is not defined"):
        run(forgets_an_import)


def random_sum(draw: random.Random, depth: int = 3) -> str:
    if depth == 0:
        return draw.choice([str(draw.randint(0, 99)), f"{draw.uniform(0, 99):.2f}", f"(-{draw.randint(1, 9)})"])
    left, sign = random_sum(draw, depth - 1), draw.choice(["+", "-", "*", "/", "%", "**"])
    right = str(draw.randint(0, 3)) if sign == "**" else random_sum(draw, depth - 1)
    space = draw.choice(["", " "])
    return f"({left}{space}{sign}{space}{right})"


def test_the_calculator_agrees_with_python():
    draw = random.Random(0)
    right = 0
    for _ in range(2000):
        text = random_sum(draw)
        try:
            expected = eval(text)
        except ArithmeticError as fault:
            with pytest.raises(type(fault)):
                calculator(text)
        else:
            assert float(calculator(text)) == pytest.approx(expected, rel=1e-12), text
            right += 1
    assert right > 1000
    assert calculator("2 + 3 * 4") == "14" and calculator("-2 ** 2") == "-4", "what binds more is done first"


def test_the_calculator_knows_per_cent_and_writes_short_numbers():
    for text, result in (("15% of 240", "36"), ("200 * 15%", "30"), ("50 % - 0.1", "0.4"), ("17 % 5", "2")):
        assert calculator(text) == result
    assert calculator("0.1 + 0.2") == "0.3" and calculator("6 / 2") == "3" and calculator("2**64") == str(2**64)


def test_the_calculator_refuses_what_is_no_sum_or_too_large():
    for text in ("", "x + 1", "__import__('os').getcwd()", "1 << 9", "'a' * 9", "(1, 2)", "(" * 500, "1 +"):
        with pytest.raises(ValueError, match="is no sum$"):
            calculator(text)
    for text in ("9**9**9", "(2**4000)**4000"):
        with pytest.raises(ValueError, match="too large"):
            calculator(text)
    with pytest.raises(SlmLabError, match="^calculator failed: ZeroDivisionError: [a-z ]+.$"):
        run(calculator, "1 / 0")


def test_the_clock_knows_three_words():
    forms = {"date": r"\d{4}-\d\d-\d\d", "time": r"\d\d:\d\d", "weekday": "|".join(day_name)}
    assert all(re.fullmatch(form, run(clock, what)) for what, form in forms.items())
    with pytest.raises(SlmLabError, match="the clock tells date, time or weekday, not 'moon'"):
        run(clock, "moon")


def test_search_gives_the_best_paragraph_and_its_file(notes):
    assert run(search, "When does the ferry leave? At noon?", folder=notes) == "ferry.md: It leaves at noon."
    (notes / "LARGE.TXT").write_text("An elephant", "utf-8")  # as Windows names it
    assert run(search, "elephant", folder=notes) == "LARGE.TXT: An elephant"
    assert run(search, "bread", folder=notes) == "bakery.txt: Bread is three crowns."
    assert run(search, "crowns of a ferry", folder=notes) == "ferry.md: A ticket is two crowns.", "the title counts"
    for words in ("giraffe", "", "the"):
        with pytest.raises(SlmLabError, match="no paragraph has one of the words"):
            run(search, words, folder=notes)


def test_search_names_what_it_cannot_read(notes, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "title.md").write_text("# A title only")
    with pytest.raises(SlmLabError, match="the folder has no paragraph"):
        run(search, "ferry", folder=tmp_path / "empty")
    for data in (b"a" * 1_000_001, b"\x89PNG\0\0"):
        (notes / "odd.txt").write_bytes(data)
        with pytest.raises(SlmLabError, match="odd.txt is larger than 1 MB or no text"):
            run(search, "ferry", folder=notes)
    (notes / "odd.txt").write_bytes("Ein Käse".encode("latin-1"))
    (notes / "folder.md").mkdir()
    assert "noon" in run(search, "noon", folder=notes), "an old encoding is no reason to stop, nor is a folder"


def asked(folder, *calls) -> tuple:
    """The tools that a client is told of, and (is it an error, the text) for each call."""

    async def session():
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "course.acting", str(folder)], cwd=Path(acting.__file__).parents[1]
        )
        async with Client(stdio_client(server)) as client:
            tools = (await client.list_tools()).tools
            results = [await client.call_tool(name, arguments) for name, arguments in calls]
        return tools, [(result.is_error, result.content[0].text) for result in results]

    return asyncio.run(session())


def test_an_mcp_client_lists_and_calls_each_tool(notes):
    calls = ("calculator", {"sum": "12 * 34"}), ("clock", {"what": "weekday"}), ("search", {"words": "bread"})
    tools, results = asked(notes, *calls)
    assert [tool.name for tool in tools] == list(acting.TOOLS)
    for tool in tools:
        (argument,) = tool.input_schema["properties"].values()
        assert tool.description and argument["description"]
    assert results[0] == (False, "408") and results[2] == (False, "bakery.txt: Bread is three crowns.")
    assert results[1][1] in list(day_name)


def test_an_mcp_client_is_told_of_errors_and_gets_nothing_from_outside(notes):
    link(notes / "secret.md", notes.parent / "secret.md")
    calls = [("shell", {"command": "ls"}), ("calculator", {}), ("calculator", {"sum": "a lot"})]
    _, results = asked(notes, *calls, ("search", {"words": "number of the safe"}))
    words = "Unknown tool: shell", "sum\n", "'a lot' is no sum", "may not read 'secret.md'"
    for (is_error, text), expected in zip(results, words, strict=True):
        assert is_error and expected in text and SECRET not in text


def test_the_server_says_what_it_needs():
    for arguments, code, words in (["--help"], 0, "all that the tools can read"), (["none"], 2, "no folder 'none'"):
        command = [sys.executable, "-m", "course.acting", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(acting.__file__).parents[1])
        assert done.returncode == code and words in done.stdout + done.stderr

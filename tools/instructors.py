"""Instructors' page and slides, from the lessons and data/instructors.toml: a path of twenty minutes, and the answers.

python -m tools.instructors [NAME ...]   writes INSTRUCTORS.md, and the slides of the named lessons, or of all
    --check                                  writes nothing; says what is wrong or out of date
"""

import argparse
import ast
import base64
import re
import struct
import sys
import tomllib
from difflib import get_close_matches
from pathlib import Path

import nbformat

from course.exercises.registry import exercises
from course.quizzes import quizzes
from tools.normal_form import normalise, stored_bytes
from tools.refresh import Failed, lessons, write_whole

ROOT = Path(__file__).resolve().parent.parent
PAGE, TOML = ROOT / "INSTRUCTORS.md", ROOT / "data" / "instructors.toml"
MINUTES, MOST_SLIDES = 20, 15
WIDTH, HEIGHT = 1280, 800  # of a slide; reveal.js shrinks it to the screen
COMMAND = (
    f"jupyter nbconvert --to slides --post serve --SlidesExporter.reveal_width={WIDTH} "
    f"--SlidesExporter.reveal_height={HEIGHT} notebooks/00_start_here.ipynb"
)
LINE, MOST_LINES = 26, 26  # pixels of a line of text, and how many lines a slide holds
TEXT, CODE = 112, 96  # characters in a line
HEAD = f"""# For instructors

Made by `python -m tools.instructors` from the lessons and `data/instructors.toml`: change those, never this page.

Each lesson has a path of twenty minutes, to show to a room before everybody works through the whole lesson. Ask the
room at each prediction and let hands go up before you run on. The answers to expect are those stored in the lesson:
figures of speed differ on your machine. The answer key stands below each path.

**Who has done what**: each learner runs `python -m course hand-in "Name"` and gives you the file. Then
`python -m course collect FOLDER --csv class.csv` checks all files and makes a table. A hash shows an accident or a
careless edit. It is no proof against a learner who signs another record. A word that you tell your class (`--word`)
shows which files come from elsewhere.

**To present** a lesson live: in JupyterLab, View > Appearance > Presentation Mode and Simple Interface.

**As slides**: the cells of each path are marked, at most {MOST_SLIDES} slides a lesson.

```
{COMMAND}
```

The slides fetch reveal.js from the internet when they are opened. With no network, present the notebook itself."""


def headings(notebook) -> list[tuple[int, int, str]]:
    """The place of its cell, the level and the words of every heading."""
    marks = re.compile(r"^(#+) (.+)$", re.MULTILINE)
    cells = [(at, re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)) for at, cell in enumerate(notebook.cells)
             if cell.cell_type == "markdown"]  # fmt: skip
    return [(at, len(found[1]), found[2].strip()) for at, text in cells for found in marks.finditer(text)]


def section(notebook, heading: str) -> range:
    """The cells of a heading and of those below it."""
    every = headings(notebook)
    place = next(number for number, (_, _, words) in enumerate(every) if words == heading)
    at, level, _ = every[place]
    after = (start for start, depth, _ in every[place + 1 :] if depth <= level and start > at)
    return range(at, next(after, len(notebook.cells)))


def predictions(notebook, cells) -> list[tuple[str, str, str]]:
    """Each question that is asked in these cells with its options, the stored answer, and the reason given below it."""
    found = []
    for guess, question, options in (_words(call) for at in cells for call in _calls(notebook.cells[at], "predict")):
        answered = [at for at, cell in enumerate(notebook.cells)
                    if any(_words(call)[0] == guess for call in _calls(cell, "predict.answer"))]  # fmt: skip
        if not answered:
            raise Failed(f"the prediction {guess!r} has no answer")
        told = "".join(output.get("text", "") for output in notebook.cells[answered[0]].outputs).strip()
        shown = " · ".join(f"{one:,}" if isinstance(one, int) else str(one) for one in options)
        found.append((f"{question} ({shown})", told, _reason(notebook, answered[0])))
    return found


def _calls(cell, name):
    if cell.cell_type == "code" and "predict" in cell.source:
        code = re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE)
        calls = (one for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Call))
        yield from (one for one in calls if ast.unparse(one.func) == name)


def _words(call) -> list:
    """The arguments of a call: values where they stand there, and else their code."""
    try:
        return [ast.literal_eval(one) for one in call.args]
    except ValueError:
        return [*map(ast.literal_eval, call.args[:1]), *(ast.unparse(one) for one in call.args[1:])]


def _reason(notebook, at) -> str:
    """The first two sentences of prose below a cell."""
    for cell in notebook.cells[at + 1 :]:
        text = re.sub(r"^(#.*|!\[.*|\|.*|\*\*Predict.*)$", "", cell.source, flags=re.MULTILINE).strip()
        if cell.cell_type == "markdown" and text:
            paragraphs = [" ".join(part.split()) for part in re.split(r"\n{2,}", text)]
            paragraph = next((part for part in paragraphs if part[0] != "("), paragraphs[0])  # an aside is no reason
            return " ".join(re.split(r"(?<=[.!?]) (?=[A-Z*`(])", paragraph)[:2])
    return ""


# Slides


def slides(notebook, about: dict) -> tuple[dict[int, str], list[str]]:
    """What each cell is in the talk, by its place, and the beginnings of those that no slide can hold."""
    kinds, tall, room = dict.fromkeys(range(len(notebook.cells)), "skip"), [], 0
    for cells in ([0], *(section(notebook, heading) for heading, _ in about["path"])):
        room = 0
        for at in cells:
            cell = notebook.cells[at]
            needs = lines(cell)
            if kinds[at] != "skip" or "exercise" in cell.metadata.get("tags", []) or "# Exercise" in cell.source[:14]:
                continue
            if needs > MOST_LINES:
                tall.append(cell.source.strip().splitlines()[0][:60])
                continue
            kinds[at] = "-" if needs <= room else "slide"
            room = (room if needs <= room else MOST_LINES) - needs
            if any(_calls(cell, "predict")):
                room = 0  # the answer comes on the next one
    return kinds, tall


def lines(cell) -> float:
    """About as many lines of text as a cell is high on a slide."""
    if cell.cell_type == "markdown":
        return 1 + sum(map(_prose_lines, cell.source.splitlines()))
    return 1.5 + 0.87 * _wrapped(cell.source, CODE) + sum(map(_output_lines, cell.outputs))


def _prose_lines(line: str) -> float:
    if picture := re.search(r"!\[.*?\]\((images/[^)]+\.svg)\)$", line):
        svg = (ROOT / "notebooks" / picture[1]).read_text(encoding="utf-8")
        width, height = (float(re.search(rf' {name}="([\d.]+)', svg)[1]) for name in ("width", "height"))
        return height * min(1, (WIDTH - 150) / width) / LINE
    if line.startswith("# "):
        return 6 + 2.5 * -(-len(line) // 60)
    if line.startswith(("#", "|")):
        return 2.3 if line[0] == "#" else 1.5
    return -(-len(re.sub(r"\]\([^)]*\)", "]", line)) // TEXT) or 0.8  # a link is as long as its words


def _output_lines(output) -> float:
    data = output.get("data", {})
    html = data.get("text/html", "")
    if picture := data.get("image/png") or next(iter(re.findall(r"data:image/png;base64,([^\"]+)", html)), ""):
        wide, high = struct.unpack(">II", base64.b64decode(picture[:64])[16:24])
        shown = re.search(r"<img[^>]*?\bwidth(?:: |=\")(\d+)", html)
        words = re.sub(r"<style.*?</style>|<[^>]*>", "", html, flags=re.DOTALL)
        return high * min(1, (int(shown[1]) if shown else WIDTH - 150) / wide) / LINE + 1 + _wrapped(words, TEXT)
    if html:
        shown = re.sub(r"<details>.*</details>", "", html, flags=re.DOTALL)
        rows = re.split(r"<(?:tr|li|p|div)\b", shown)[1:] or [shown]
        return 1 + sum(0.4 + -(-len(re.sub(r"<[^>]*>", "", "<" + row)) * 1.15 // TEXT) for row in rows)
    return 1 + 0.87 * _wrapped(output.get("text") or data.get("text/markdown") or data.get("text/plain", ""), CODE)


def _wrapped(text: str, width: int) -> int:
    return sum(-(-len(line) // width) or 1 for line in text.rstrip().splitlines())


# The page


def page(name: str, notebook, about: dict) -> str:
    """What an instructor needs for one lesson."""
    title = re.match(r"# (.+)", notebook.cells[0].source)[1]
    whole = re.search(r"\*\*(\d+ minutes · [^·]+) ·", notebook.cells[0].source)[1]
    cells = [at for heading, _ in about["path"] for at in section(notebook, heading)]
    kinds, tall = slides(notebook, about)
    rows = [f"| {minutes} | {heading} |" for heading, minutes in about["path"]]
    parts = [
        f"## [{name[:2]} · {title}](notebooks/{name}.ipynb)",
        f"The whole lesson: {whole}. Before it: {about['before']}",
        "\n".join(["| minutes | show |", "| --- | --- |", *rows]),
        f"{[*kinds.values()].count('slide')} slides." + (f" Too tall for one: {'; '.join(tall)}." if tall else ""),
        f"**Leave out:** {about['skip']}",
        f"**Ask the room:** {about['ask']}\n*Expect:* {about['expect']}",
    ]
    for question, told, why in predictions(notebook, dict.fromkeys(cells)):
        parts.append(f"**Predict:** {question}\n*Expect:* {told} {why}")
    parts += [f"### Answers of {name[:2]}", *_quiz(name)]
    for one in exercises().values():
        if one.lesson == name:
            parts.append(f"`{one.id}`, {one.title.lower()}:\n\n```python\n{one.solution}\n```")
    return "\n\n".join(parts)


def _quiz(name):
    for quiz in quizzes().values():
        if quiz.lesson == name:
            rows = [f"{number}. **{one.letters}**: {'; '.join(one.options[at] for at in one.answer)}"
                    for number, one in enumerate(quiz.questions, 1)]  # fmt: skip
            yield "\n".join(["Quiz:", "", *rows])


# Whole


def faults(notebook, about: dict) -> list[str]:
    """What keeps a lesson's entry from being a path."""
    if missing := {"before", "path", "skip", "ask", "expect"} - set(about):
        return [f"data/instructors.toml has no {', '.join(sorted(missing))}"]
    words = [heading for _, _, heading in headings(notebook)]
    found = []
    for heading, _ in about["path"]:
        if heading not in words:
            nearest = get_close_matches(heading, words, 1, 0) or ["none"]
            found.append(f"no heading {heading!r}. Nearest: {nearest[0]!r}")
    if found:
        return found
    most = min(MINUTES, int(re.search(r"(\d+) minutes", notebook.cells[0].source)[1]))
    if abs((total := sum(minutes for _, minutes in about["path"])) - most) > 2:
        found.append(f"its path takes {total} minutes, and {most} are wanted")
    count = [*slides(notebook, about)[0].values()].count("slide")
    if count > MOST_SLIDES:
        found.append(f"{count} slides, and {MOST_SLIDES} are the most: name headings with fewer cells")
    try:
        predictions(notebook, range(len(notebook.cells)))
    except Failed as fault:
        found.append(str(fault))
    return found


def marked(notebook, about: dict) -> bytes:
    """The lesson's file with its cells marked for the talk."""
    for at, kind in slides(notebook, about)[0].items():
        notebook.cells[at].metadata["slideshow"] = {"slide_type": kind}
    return stored_bytes(normalise(notebook))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson's number or the beginning of its name")
    parser.add_argument("--check", action="store_true", help="write nothing; say what is wrong or out of date")
    options = parser.parse_args(words)
    known, told, pages = tomllib.loads(TOML.read_text(encoding="utf-8")), [], []
    named = [path.stem for path in lessons(options.names)]
    told += [f"{name}: data/instructors.toml has an entry for a lesson that isn't there"
             for name in set(known) - {path.stem for path in lessons([])}]  # fmt: skip
    for path in lessons([]):
        notebook, about = nbformat.read(path, as_version=4), known.get(path.stem, {})
        if wrong := faults(notebook, about):
            told += [f"{path.stem}: {one}" for one in wrong]
            continue
        pages.append(page(path.stem, notebook, about))
        if path.stem in named:
            told += _kept(path, marked(notebook, about), options.check)
    if not told or options.check:
        told += _kept(PAGE, ("\n\n".join([HEAD, *pages]) + "\n").encode(), options.check)
    print(*told or ["The instructors' page and slides are current."], sep="\n")
    return 1 if told else 0


def _kept(path: Path, content: bytes, check: bool) -> list[str]:
    """Writes a file; or says that it is out of date."""
    if check:
        return [] if path.exists() and path.read_bytes() == content else [
            f"{path.name} is out of date. Run: python -m tools.instructors"]  # fmt: skip
    write_whole(path, content)
    return []


if __name__ == "__main__":
    sys.exit(main())

"""The course as a site: every lesson as it is stored, the README, the instructors' page and the glossary.

python site/build.py [--out FOLDER] [--serve]     writes site/_build/html, or FOLDER, and shows it on this machine
Nothing is executed, and no network is asked.
"""

import argparse
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]  # also where a test runs this file

from first import readme  # noqa: E402

from tools.badges import BADGE, address  # noqa: E402

NEEDED = {"sphinx": "sphinx", "myst_nb": "myst-nb", "furo": "furo"}
GROUPS = (("00", "A model answers"), ("03", "What is inside"), ("06", "Services and runtimes"), ("10", "Make one"),
          ("13", "Use one"), ("99", ""))  # fmt: skip
PAGES = {"README": "Set up and use", "glossary": "Glossary", "INSTRUCTORS": "For instructors",
         "CONTRIBUTING": "Work on the course", "CHANGELOG": "What changed"}  # fmt: skip
ON = """<!doctype html><html lang="en"><title>SLM Lab</title><meta http-equiv="refresh" content="0; url=lessons.html">
<a href="lessons.html">All lessons</a></html>
"""


class Failed(Exception):
    """The site can't be built; the message says why and what to do."""


def repository(file: str) -> str:
    return f"https://github.com/{address(ROOT)}/blob/main/{file}"


def mended(text: str, place: str) -> str:
    """A page's text with links as the site has them: a file that is no page of it stands in the repository."""

    def lead(found):
        file, anchor = posixpath.normpath(posixpath.join(posixpath.dirname(place), found[1])), found[2] or ""
        here = re.fullmatch(rf"notebooks/\w+\.ipynb|[\w/]+/images/.*|({'|'.join(PAGES)}|lessons)\.md", file)
        return found[0] if here or "://" in found[1] else f"]({repository(file)}{anchor})"

    return re.sub(r"\]\(([^)\s#]+)(#[^)\s]*)?\)", lead, text)


def lesson(path: Path, pictures: dict[str, str]) -> nbformat.NotebookNode:
    """A stored lesson as the site shows it; `pictures` has the words for those that a cell shows."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, AttributeError, nbformat.ValidationError) as fault:
        said = str(fault).partition(":")[0]
        raise Failed(f"{path.name} is no notebook: {said}. Take it from the repository again.") from None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = mended(cell.source.replace("](../README.md)", "](../lessons.md)"), f"notebooks/{path.name}")
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if png := data.get("image/png"):
                if cell.id not in pictures:
                    raise Failed(f"{path.name}: cell {cell.id!r} shows a picture. Say in site/alts.toml what is in it.")
                source = f"data:image/png;base64,{png.strip()}"
                data["text/html"] = f'<img alt="{escape(pictures[cell.id])}" src="{source}">'
    badge, file = BADGE.format(address(ROOT)), repository(f"notebooks/{path.name}")
    more = f"{badge} · [notebook file]({file}) · [set-up on your machine](../README.md)\n\n" \
        "*You read a real run of this lesson. To guess, to change and to be checked, run it yourself.*"  # fmt: skip
    notebook.cells[0].source = notebook.cells[0].source.replace(badge, more)
    return notebook


def glossary() -> str:
    """Every term with its sentence, and the lesson where a reader meets it."""
    terms = tomllib.loads((ROOT / "data/glossary.toml").read_text(encoding="utf-8"))
    files = {path.name[:2]: path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    rows = [f"{term}\n  {about['means']} [Lesson {about['lesson']}](notebooks/{files[about['lesson']]})"
            for term, about in sorted(terms.items(), key=lambda one: one[0].lower())]  # fmt: skip
    return "\n\n".join(["# Glossary", "```{glossary}", *rows, "```\n"])


def contents() -> str:
    """The page of all lessons, from README's table, in groups; and the order of the pages."""
    rows = readme()["lessons"]
    drawing = "![The lessons of the course as a path of numbered boxes, from 00 on](notebooks/images/map.svg)"
    parts = ["# All lessons", "Each lesson asks for a guess, runs, and explains what came out.", drawing]
    for (first, name), (after, _) in pairwise(GROUPS):
        here = [row for row in rows if first <= row["number"] < after]
        parts += [f"## {name}"]
        for row in here:
            head = "**[{number} · {title}](notebooks/{file}.ipynb)** · {minutes} minutes, {memory}".format(**row)
            parts += [f"{head}\\\n{row['what'][0].upper()}{row['what'][1:]}."]
        parts += [toctree(name, ["{number} · {title} <notebooks/{file}>".format(**row) for row in here])]
    return "\n\n".join([*parts, toctree("More", [f"{title} <{page}>" for page, title in PAGES.items()])])


def toctree(caption: str, entries: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])


def stage(folder: Path) -> None:
    """What Sphinx reads, laid out as the repository is, so that links between pages hold."""
    pictures = tomllib.loads((HERE / "alts.toml").read_text(encoding="utf-8"))
    for images in ("notebooks/images", "data/images"):
        shutil.copytree(ROOT / images, folder / images)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        nbformat.write(lesson(path, pictures.get(path.stem, {})), folder / "notebooks" / path.name)
    made = {"glossary": glossary(), "lessons": contents()}
    for name in PAGES.keys() - made.keys():
        text = mended((ROOT / f"{name}.md").read_text(encoding="utf-8"), f"{name}.md")
        text = re.sub(r"^\[!\[[^]]*\]\(https?:.*\n", "", text, flags=re.MULTILINE)  # a badge that asks another host
        made[name] = re.sub(r"\A# .*", f"# {PAGES[name]}", text)
    for name, text in made.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def build(out: Path) -> None:
    missing = [package for module, package in NEEDED.items() if not find_spec(module)]
    if missing:
        raise Failed(f"{', '.join(missing)} is missing: python -m pip install -r data/environments/site.txt")
    (HERE / "_build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "_build") as work:  # on the same disk: Windows has no path between two
        source = Path(work) / "source"
        stage(source)
        options = ["-q", "-W", "--keep-going", "-c", str(HERE), "-d", f"{work}/doctrees"]
        if subprocess.run([sys.executable, "-m", "sphinx", *options, str(source), f"{work}/html"]).returncode:
            raise Failed("The site is not whole: mend what the lines above name, then run this again.")
        inner = shutil.ignore_patterns("_sources", ".buildinfo")
        shutil.copytree(f"{work}/html", out, dirs_exist_ok=True, ignore=inner)
    if subprocess.run([sys.executable, str(HERE / "first.py"), str(out)]).returncode:
        print("The site is without its first page: index.html leads to the lessons.", flush=True)
        (out / "index.html").write_text(ON, encoding="utf-8")


def serve(folder: Path) -> None:
    """Show the site on this machine, to nobody else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        print(f"http://127.0.0.1:{server.server_port}  (Ctrl-C ends it)", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "_build/html", metavar="FOLDER")
    parser.add_argument("--serve", action="store_true", help="show it in a browser of this machine when it is built")
    options = parser.parse_args()
    try:
        build(options.out)
        print(f"The site is in {options.out}")
        if options.serve:
            serve(options.out)
    except (Failed, OSError) as fault:  # of the disk
        sys.exit(str(fault))
    except KeyboardInterrupt:
        pass

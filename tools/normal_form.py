"""The one form in which a lesson is stored, byte by byte, and what is wrong with a file that differs from it.

Knows nothing about running notebooks.
"""

import copy
import hashlib
import json
import re
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
TAGS = {
    "setup",  # the one cell that prepares the lesson
    "exercise",  # the reader completes it; as it stands it runs and doesn't pass
    "quiz",
    "playground",  # live controls
    "predict",
    "measured",  # times and facts of one machine: stored output stays until `--measure` or a change of the cell
    "nbval-check-output",  # the tests compare its output
    "raises-exception",  # shows an error on purpose
}
CELL_METADATA = ("tags", "slideshow")
MOST_LINES = 12
WIDGET = "application/vnd.jupyter.widget-view+json"
STATIC = ("text/html", "text/plain")
MACHINE_PATH = re.compile(r"/home/\w|/Users/\w|/root/|/tmp/|/var/folders/|\b[A-Za-z]:\\{1,2}\w")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
RANDOM_ID = re.compile(r"\b[0-9a-f]{16,}\b")
PICTURE = re.compile(r"(data:image/[\w+]+;base64,[\w+/=]+)")  # inside a page: no text, whatever its letters spell
NUMBER = re.compile(r"[-+]?\d[\d,._]*(?:e[-+]?\d+)?")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
BAR = re.compile(r"[\u2580-\u259f\u25a0-\u25ff]+|([-=#.·_])\1+")


def stored_bytes(notebook) -> bytes:
    return (nbformat.writes(notebook).rstrip("\n") + "\n").encode("utf-8")


def normalise(notebook, root: Path = ROOT):
    """The same lesson without what changes from run to run or from machine to machine."""
    result = copy.deepcopy(notebook)
    result.nbformat, result.nbformat_minor = 4, 5
    about = result.metadata.get("slmlab", {})
    result.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    if about:
        result.metadata.slmlab = about
    for number, cell in enumerate(result.cells, start=1):
        cell.id = cell.get("id") or f"cell-{number}"
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)})
        if cell.cell_type == "code":
            cell.outputs = [_clean(output, root) for output in cell.outputs]
    return result


def number_cells(notebook) -> None:
    """Execution counts from 1 to N, in the order of the page."""
    for count, cell in enumerate(_code_cells(notebook), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def sign(notebook) -> None:
    """Note which sources these outputs came from, so that an edit without a run can be told."""
    measured = {cell.id: _hash(cell.source) for cell in _code_cells(notebook) if "measured" in _tags(cell)}
    about = {"sources": sources_hash(notebook), **({"measured": measured} if measured else {})}
    notebook.metadata.slmlab = nbformat.from_dict(about)


def sources_hash(notebook) -> str:
    """Of the code alone: a better sentence between two cells needs no run."""
    return _hash("\0".join(cell.source for cell in _code_cells(notebook)))


def keep_measured(fresh, stored) -> None:
    """Give measured cells their stored outputs back, where the code is the same and only figures moved."""
    signed = stored.metadata.get("slmlab", {}).get("measured", {})
    before = {cell.get("id"): cell for cell in _code_cells(stored)}
    for cell in _code_cells(fresh):
        if "measured" not in _tags(cell):
            continue
        old = before.get(cell.id)
        unedited = old is not None and signed.get(cell.id) == _hash(cell.source) == _hash(old.source)
        if unedited and [shape(one) for one in old.outputs] == [shape(one) for one in cell.outputs]:
            cell.outputs = old.outputs


def shape(output) -> tuple:
    """An output without its figures and random ids: what stays the same when only the machine's speed differs. Blanks
    are gone, for a column is filled up with them; a row of numbers is one, for a plot may have a tick more."""
    texts = {kind: text for kind, text in _texts(output)}
    masked = {
        kind: re.sub("0+", "0", "".join(BAR.sub("", NUMBER.sub("0", RANDOM_ID.sub("id", text))).split()))
        for kind, text in texts.items()
    }
    return output.output_type, output.get("name"), tuple(sorted(output.get("data", {}))), tuple(sorted(masked.items()))


def faults(path: Path, root: Path = ROOT) -> list[str]:
    """What keeps this file from being a stored lesson, each with its cell and what mends it. Runs nothing."""
    raw = path.read_bytes()
    try:
        notebook = nbformat.reads(raw.decode("utf-8"), as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError) as error:
        return [f"not a valid notebook: {str(error).splitlines()[0]}"]
    found = []
    if notebook.metadata.get("kernelspec") != KERNEL:
        found.append(
            f"its kernelspec is not the course's ({KERNEL['name']}), so a learner's lab would ask for a kernel"
        )
    if "widgets" in notebook.metadata:
        found.append("leftover widget state in the metadata: some pages refuse to show such a file")
    for number, cell in enumerate(notebook.cells, start=1):
        place = f"cell {number} ({cell.get('id', 'no id')})"
        found += [f"{place}: {fault}" for fault in _cell_faults(cell)]
    found += _reading_faults("\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))
    counts = [cell.execution_count for cell in _code_cells(notebook)]
    if None not in counts and counts != list(range(1, len(counts) + 1)):
        found.append("its cells were not run from top to bottom, once each")
    if notebook.metadata.get("slmlab", {}).get("sources") != sources_hash(notebook):
        found.append("out of date: its code changed after its outputs were stored")
    if not found and raw != stored_bytes(normalise(notebook, root)):
        found.append("not in the normal form, byte by byte (an editor saved it, or outputs hold an address or a path)")
    return found


def _cell_faults(cell):
    unknown = _tags(cell) - TAGS
    if unknown:
        yield f"unknown tag {', '.join(sorted(unknown))}. Known: {', '.join(sorted(TAGS))}"
    if {"measured", "nbval-check-output"} <= _tags(cell):
        yield "a measured output can't be compared with: drop one of the two tags"
    if cell.cell_type != "code":
        return
    lines = cell.source.count("\n") + 1
    if not cell.source.strip():
        yield "an empty code cell"
    if lines > MOST_LINES:
        yield f"{lines} lines of code, and {MOST_LINES} are the most: move some into slmlab"
    if cell.execution_count is None:
        yield "never run"
    if MACHINE_PATH.search(cell.source):
        yield f"a path of one machine in the code: {MACHINE_PATH.search(cell.source).group()}..."
    for output in cell.outputs:
        yield from _output_faults(output, expected_error="raises-exception" in _tags(cell))


def _reading_faults(prose):
    """What a reader with a screen reader would miss."""
    prose = CODE.sub("", prose)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
    if levels[:1] != [1] or 1 in levels[1:]:
        yield "it needs one title, `# ...`, before all other headings"
    if any(below > above + 1 for above, below in zip(levels, levels[1:], strict=False)):
        yield "a heading skips a level"
    for mark, words, target in re.findall(r"(!?)\[((?:!\[.*?\]\(.*?\)|[^\]])*)\]\(([^)\s]+)\)", prose):
        if len(words) < 3 or re.match(r"(?:click )?here|this|link|https?:", words, re.IGNORECASE):
            yield f"{'a picture without alt text' if mark else 'a link that does not say where to'}: {target}"
    yield from _blind_pictures(prose)


def _blind_pictures(html):
    for tag in re.findall(r"<img\b[^>]*>", html):
        if not re.search(r'\balt="[^"]{3}', tag):
            yield f"a picture without alt text: {tag[:60]}"


def _output_faults(output, expected_error):
    if output.output_type == "error" and not expected_error:
        yield f"ended in {output.ename}: {output.evalue}"
    if output.get("name") == "stderr":
        yield f"wrote to stderr: {output.text.strip().splitlines()[0] if output.text.strip() else '(blank)'}"
    if WIDGET in output.get("data", {}):
        yield "a live widget is stored, which shows nothing on a page without a kernel"
    for kind, text in _texts(output):
        yield from _blind_pictures(text if kind == "text/html" else "")
        if MACHINE_PATH.search(text):
            yield f"a path of one machine in its output: {MACHINE_PATH.search(text).group()}..."


def _clean(output, root):
    output = copy.deepcopy(output)
    data = output.get("data", {})
    if WIDGET in data and any(kind in data for kind in STATIC):
        del data[WIDGET]
    output.get("metadata", {}).pop(WIDGET, None)
    if output.output_type == "stream":
        output.text = _without_machine(output.text, root)
    for kind, value in data.items():
        if isinstance(value, str) and _is_text(kind):
            data[kind] = _without_machine(value, root)
    return output


def _without_machine(text, root):
    text, *rest = PICTURE.split(text, maxsplit=1)
    names = {root: ".", Path(tempfile.gettempdir()): "TMP", Path.home(): "~"}
    for folder, name in sorted(names.items(), key=lambda one: -len(str(one[0]))):  # the innermost folder first
        for written in {str(folder), str(folder).replace("\\", "\\\\"), folder.as_posix()}:
            text = re.sub(re.escape(written) + r"(?![\w.-])", lambda _, name=name: name, text)
    return ADDRESS.sub("0x…", text) + (rest[0] + _without_machine(rest[1], root) if rest else "")


def _texts(output):
    if output.output_type == "stream":
        yield "stream", output.text
    for kind, value in output.get("data", {}).items():
        if _is_text(kind):
            yield kind, PICTURE.sub("", value) if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_text(kind):
    return kind.startswith("text/") or kind in ("image/svg+xml", "application/json")


def _code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

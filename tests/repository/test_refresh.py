"""The notebook machinery: running a lesson stores it in one form, and what is not in that form is named."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import normal_form, refresh

ROOT = Path(__file__).resolve().parents[2]
pytest_plugins = ["pytester"]

LESSON = (
    "import time, ipywidgets\nprint('one'); print('two')",
    "f'{time.perf_counter():.3f} s ███ {time.perf_counter()}'",
    "slider = ipywidgets.IntSlider(3)\nslider",
    "import os, tempfile\nprint(tempfile.gettempdir() + '/y', os.path.expanduser('~/x'), object())",
    "'OPENAI_API_KEY' in os.environ, os.environ['SLMLAB_OFFLINE']",
)


def make(path: Path, sources=LESSON, tag="measured") -> Path:
    cells = [new_markdown_cell("# A lesson", id="title")]
    for number, source in enumerate(sources):
        tags = {"tags": [tag]} if number == 1 else {}
        cells.append(new_code_cell(source, id=f"c{number}", metadata={**tags, "execution": {"x": "y"}}))
    path.write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """A lesson that was run and stored; tests copy it."""
    path = make(tmp_path_factory.mktemp("lessons") / "01_lesson.ipynb")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", "sk-secret")
        environment.setenv("SLMLAB_OFFLINE", "0")
        assert refresh.refresh(path)
    return path


@pytest.fixture
def lesson(ran, tmp_path) -> Path:
    copy = tmp_path / ran.name
    copy.write_bytes(ran.read_bytes())
    return copy


def read(path):
    return nbformat.read(path, as_version=4)


def edit(path, change):
    """Change a stored lesson as a careless editor would, and store it again."""
    notebook = read(path)
    change(notebook)
    path.write_bytes(normal_form.stored_bytes(notebook))


def test_running_again_changes_no_byte_although_the_clock_moved(lesson):
    before = lesson.read_bytes()
    assert refresh.refresh(lesson) is False and lesson.read_bytes() == before
    figures = read(lesson).cells[2].outputs
    assert refresh.refresh(lesson, measure=True) is True
    fresh = read(lesson).cells[2].outputs
    assert fresh != figures and [normal_form.shape(one) for one in fresh] == [normal_form.shape(one) for one in figures]


def test_a_lesson_runs_without_keys_and_stores_nothing_of_its_machine(lesson):
    assert normal_form.faults(lesson) == []
    _, prints, _, widget, paths, environment = read(lesson).cells
    assert [output.text for output in prints.outputs] == ["one\ntwo\n"], "prints of one cell become one output"
    assert set(widget.outputs[0].data) == {"text/plain"}, "no live widget"
    printed = paths.outputs[0].text
    assert printed.startswith("TMP/y ~/x ") and not re.search(r"0x[0-9a-f]{6}", printed)
    assert environment.outputs[0].data["text/plain"] == "(False, '1')"


def test_a_failing_cell_is_named_and_nothing_is_stored(tmp_path):
    path = make(tmp_path / "bad.ipynb", ["a = 1", "boom = 1 / 0"])
    before = path.read_bytes()
    named = r"bad, cell 3 \(c1\): ZeroDivisionError: division by zero\n    boom = 1 / 0"
    with pytest.raises(refresh.Failed, match=named):
        refresh.refresh(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def cell(**changes):
    return lambda notebook: notebook.cells[1].update(**changes)


def title(source):
    return lambda notebook: notebook.cells[0].update(source=source)


FAULTS = (
    (cell(source="print('edited')"), "out of date"),
    (cell(execution_count=None), r"cell 2 \(c0\): never run"),
    (cell(execution_count=7), "not run from top to bottom"),
    (cell(outputs=[new_output("stream", name="stderr", text="oh\n")]), "wrote to stderr: oh"),
    (cell(outputs=[new_output("error", ename="E", evalue="v", traceback=[])]), "ended in E: v"),
    (cell(outputs=[new_output("stream", text="/home/ann/x")]), "a path of one machine in its output: /home/a"),
    (cell(source="open('/tmp/x')"), "a path of one machine in the code"),
    (cell(source="\n".join("abcdefghijklm")), "13 lines of code"),
    (cell(metadata={"tags": ["excercise"]}), "unknown tag excercise"),
    (cell(metadata={"tags": ["measured", "nbval-check-output"]}), "drop one of the two tags"),
    (lambda nb: nb.cells[3].outputs[0].data.update({normal_form.WIDGET: {"model_id": "x"}}), "a live widget"),
    (lambda nb: nb.metadata.pop("kernelspec"), "kernelspec"),
    (title("# A\n\n### C"), "skips a level"),
    (title("## A"), "needs one title"),
    (title("# A\n\n[here](x.md)"), "does not say where to: x.md"),
    (title("# A\n\n![](x.png)"), "picture without alt text: x.png"),
    (title("# A\n\n<img src='x.png'>"), "picture without alt text: <img"),
    (lambda nb: nb.cells[0].metadata.update(collapsed=True), "not in the normal form"),
)


def test_each_fault_of_a_stored_lesson_is_named(lesson):
    whole = lesson.read_bytes()
    for change, fault in FAULTS:
        lesson.write_bytes(whole)
        edit(lesson, change)
        assert re.search(fault, "\n".join(normal_form.faults(lesson))), fault
    lesson.write_bytes(whole.replace(b"\n", b"\r\n"))
    assert "not in the normal form" in normal_form.faults(lesson)[0], "other line ends"
    lesson.write_bytes(whole)
    edit(lesson, lambda nb: nb.cells[0].update(source="# A better title"))
    assert refresh.check([lesson]) == 0, "a better sentence needs no new run"
    edit(lesson, lambda nb: nb.cells[1].update(source="print('edited')"))
    assert refresh.check([lesson]) == 1


def test_a_measured_cell_keeps_its_output_where_only_figures_or_random_ids_moved():
    def text(value, **data):
        return new_output("execute_result", data={"text/plain": value, **data})

    def kept(old, new, ran="a", stored_as="a"):
        """Whether an output stays that was stored after running `a` and whose cell now has other code."""
        tags = {"metadata": {"tags": ["measured"]}}
        stored = new_notebook(cells=[new_code_cell("a", id="m", outputs=[old], **tags)])
        normal_form.sign(stored)
        stored.cells[0].source = stored_as
        fresh = new_notebook(cells=[new_code_cell(ran, id="m", outputs=[new], **tags)])
        normal_form.keep_measured(fresh, stored)
        return fresh.cells[0].outputs[0] == old

    old, new = text("222.6 tok/s ████▌ 1,024 tokens"), text("97 tok/s ██ 1,024 tokens")
    assert kept(old, new)
    assert kept(text('"chatcmpl-79dbb1f7fc4d4d09923a70dd"'), text('"chatcmpl-e482c346aef34884970a41ff"'))
    figures = [text("x", **{"text/html": f'<img src="data:image/png;base64,iV/tmp/{end}">'}) for end in ("AB=", "+DEF")]
    assert kept(*figures) and normal_form._clean(figures[0], normal_form.ROOT) == figures[0], "letters of a picture"
    assert kept(text("<td>   2</td> Rows: 1, 2, 3."), text("<td>0.94</td> Rows: 2.5, 5."))
    assert not kept(old, text("97 tokens per second ██ 1,024 tokens")), "its words changed"
    assert not kept(old, new, ran="b"), "its code changed"
    assert not kept(old, text("97 tok/s ██ 1,024 tokens", **{"image/png": "aGk="})), "a picture came"
    assert not kept(old, new, ran="b", stored_as="b"), "an editor saves new code with old outputs"


def test_a_cell_that_catches_the_interrupt_at_its_time_limit_and_a_starter_that_is_right_do_not_pass(pytester):
    caught = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass"
    make(pytester.path / "slow.ipynb", [caught, "1 + 1"])
    make(pytester.path / "starters.ipynb", ["'Not yet'", "'Right'"], tag="exercise")
    pytester.makeini(f"[pytest]\npythonpath = {ROOT.as_posix()}\n")
    options = "-p tools.offline_notebooks -p no:cacheprovider --nbval-lax --nbval-current-env --nbval-cell-timeout=2"
    result = pytester.runpytest_subprocess(*options.split(), "slow.ipynb", "starters.ipynb")
    result.assert_outcomes(failed=2, xfailed=1, passed=1)
    result.stdout.fnmatch_lines(["*took more than 2 s*", "*This starter of an exercise passes*"])

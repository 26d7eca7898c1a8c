"""Who is there: facts, the lines that install, the table of a lesson, and what this machine answers."""

import re
import subprocess
import sys
from importlib.util import find_spec

import nbformat
import pytest

from course.runtimes import answers
from course.runtimes.contract import MODEL, Runtime, facts, gguf_file, this_platform
from course.runtimes.listing import RUNTIMES, made, roster
from slmlab import weights
from slmlab.catalog import DATA, Facts
from slmlab.errors import UnknownName
from tests.conftest import LESSONS


def test_every_runtime_has_its_facts_and_all_facts_have_one():
    assert {made(name).id for name in RUNTIMES} == set(facts())
    assert all(isinstance(made(name), Runtime) and made(name).size_bytes is None for name in RUNTIMES)


def test_the_line_for_one_names_the_tested_version():
    pinned = re.search(r"^xllamacpp==(\S+)", (DATA.parent / "requirements.txt").read_text(), re.M)[1]
    assert made("llama.cpp").install_line() == f"python -m pip install xllamacpp=={pinned}"
    assert re.fullmatch(r'python -m pip install "mlx\[cpu\]==[\d.]+" mlx-lm==[\d.]+', made("mlx").install_line())
    assert (DATA.parent / str(roster()).split()[-1]).is_file()


def test_what_is_missing_or_not_built_for_this_machine_is_said(monkeypatch):
    def changed(name, **other):
        id = made(name).id
        monkeypatch.setitem(facts(), id, Facts(**vars(facts()[id]) | other))
        return made(name)

    assert made("onnx q4").need() is None
    missing = changed("llama.cpp", package="no-such-package")
    assert missing.version is None
    assert missing.need() == f"llama.cpp isn't installed here. To add it: {missing.install_line()}"
    other = changed("mlx", runs_on=["AIX"])
    assert other.need() == f"MLX has no build for {this_platform()}. It runs on: AIX."


def test_one_that_cannot_run_here_says_what_it_needs_and_what_it_did_elsewhere():
    for name, part in (("foundry local", "tried"), ("qnn", "needs")):
        told = answers(name)
        assert part in str(told) and getattr(told.facts, part) in told._repr_html_().replace("&quot;", '"').replace(
            "&#x27;", "'"
        )
        assert told.facts.source in told._repr_html_() and told.need().endswith(told.facts.needs)
    with pytest.raises(UnknownName, match="Unknown runtime 'opnvino'. Available: openvino"):
        answers("opnvino")


def test_the_code_that_lesson_09_shows_of_a_runtime_answers_with_the_version_that_is_installed():
    lesson = nbformat.read(next(path for path in LESSONS if path.stem.startswith("09")), as_version=4)
    boxes = re.findall(r"```python\n(.*?)```", "\n".join(cell.source for cell in lesson.cells), re.DOTALL)
    fp32, q4 = (str(weights.folder(MODEL, form)) for form in ("transformers", "onnx-q4"))
    given = f"file, fp32, q4, question = {str(gguf_file())!r}, {fp32!r}, {q4!r}, 'Why is the sky blue?'\n"
    ran = 0
    for box in boxes:
        package = re.findall(r"^(?:import|from) (\w+)", box.replace("import json\n", ""), re.M)[0]
        if find_spec(package) and package != "mlx_lm":  # which fetches its weights
            done = subprocess.run([sys.executable, "-c", given + box], capture_output=True, text=True)
            assert done.returncode == 0 and "sky" in done.stdout.lower(), f"{package}: {done.stderr[-500:]}"
            ran += 1
    assert len(boxes) == 6 and ran >= 3, "Transformers, ONNX Runtime and llama.cpp come with the course"

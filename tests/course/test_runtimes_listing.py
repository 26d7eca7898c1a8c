"""Who is there: facts, the lines that install, the table of a lesson, and what this machine answers."""

import re
import shutil

import pytest

from course.runtimes import answers, elsewhere
from course.runtimes.contract import Runtime, facts, this_platform
from course.runtimes.listing import RUNTIMES, made, roster
from slmlab.catalog import DATA, Facts
from slmlab.errors import UnknownName
from slmlab.loading import ENGINES
from tests.planted_package import plant


def test_every_precision_of_the_course_is_a_runtime_and_all_facts_have_one():
    own = {f"{engine} {precision}" for engine, precisions in ENGINES.items() for precision in precisions}
    assert set(RUNTIMES) == own | {"llama.cpp", "openvino", "mlx", "ollama", "qnn", "foundry local"}
    assert {made(name).id for name in RUNTIMES} == set(facts())
    assert all(isinstance(made(name), Runtime) and made(name).size_bytes is None for name in RUNTIMES)


def test_the_line_for_one_names_the_tested_version_and_that_is_new_enough():
    pinned = re.search(r"^xllamacpp==(\S+)", (DATA / "environments/runtimes.txt").read_text(), re.M)[1]
    assert made("llama.cpp").install_line() == f"python -m pip install xllamacpp=={pinned}"
    assert re.fullmatch(r'python -m pip install "mlx\[cpu\]==[\d.]+" mlx-lm==[\d.]+', made("mlx").install_line())
    assert (DATA.parent / str(roster()).split()[-1]).is_file()


def test_what_is_missing_too_old_or_not_built_for_this_machine_is_said(monkeypatch):
    def changed(name, **other):
        id = made(name).id
        monkeypatch.setitem(facts(), id, Facts(**vars(facts()[id]) | other))
        return made(name)

    assert made("onnx q4").need() is None
    missing = changed("llama.cpp", package="no-such-package")
    assert missing.version is None and missing.need() == missing.install_line()
    old = changed("onnx q4", at_least="99.1")
    assert old.need().startswith(old.install_line()) and "99.1 or later" in old.need()
    other = changed("mlx", runs_on=["AIX"])
    assert other.need() == f"MLX has no build for {this_platform()}. It runs on: AIX."


def test_the_machine_answers_for_each_part(tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    for name, part, found in (
        ("qnn", "execution providers of onnxruntime", " and ".join(onnxruntime.get_available_providers())),
        ("foundry local", "the older command `foundry`", "on the PATH"),
    ):
        told = answers(name)
        rows = dict(told.answers())
        assert rows["machine"] == this_platform() and rows[part] == found
        assert all(one in told._repr_html_() for one in (part, found, told.facts.source))
        assert told.facts.name in str(told)
    with pytest.raises(UnknownName, match="Unknown runtime 'opnvino'. Available: openvino"):
        answers("opnvino")
    monkeypatch.setattr(elsewhere, "_npu", elsewhere._npu.__wrapped__)  # as asked for the first time
    plant(tmp_path, monkeypatch, "onnxruntime-qnn", "2.7.0", "def get_library_path(): return '/nowhere/qnn.so'")
    assert dict(answers("qnn").answers())["NPU that QNN sees"].startswith("its plugin answers: ")

"""runtimes.listing: who is there, and the table that a lesson shows."""

import pytest

from course.runtimes.contract import Runtime
from course.runtimes.facts import facts
from course.runtimes.listing import answers, made, names, roster
from slmlab.errors import NotHere, UnknownName
from slmlab.loading import ENGINES


def test_every_precision_of_the_course_and_every_file_takes_part():
    own = {f"{engine} {precision}" for engine, precisions in ENGINES.items() for precision in precisions}
    others = {"llama.cpp", "openvino", "mlx", "ollama", "qnn", "foundry local"}
    assert set(names()) == own | others


def test_every_runtime_has_facts_and_all_facts_have_a_runtime():
    assert {made(name).id for name in names()} == set(facts())
    assert all(isinstance(made(name), Runtime) for name in names())


def test_a_runtime_that_is_made_holds_nothing_yet():
    for name in names():
        assert made(name).size_bytes is None and made(name).version is None


def test_the_table_has_a_row_for_each_kind_and_says_whether_it_is_here():
    shown = str(roster())
    for one in facts().values():
        assert shown.count(f"\n{one.name} ") == 1
    assert "python -m pip install -r data/environments/runtimes.txt" in shown
    html = roster()._repr_html_()
    assert all(one.choose.replace("'", "&#x27;") in html for one in facts().values())


def test_what_is_here_needs_nothing_and_what_is_not_says_what_it_needs():
    assert roster()["onnx q4"].need is None
    assert "Snapdragon" in roster()["qnn"].need


@pytest.mark.parametrize("ask", [made, answers, lambda name: roster()[name]])
def test_a_name_that_nobody_has_is_refused(ask):
    with pytest.raises(UnknownName, match="Unknown runtime 'vllm'. Available"):
        ask("vllm")


def test_a_file_for_a_runtime_that_reads_none_is_refused(tmp_path):
    with pytest.raises(NotHere, match="MLX reads no GGUF file"):
        made("mlx", tmp_path / "any.gguf")


@pytest.mark.parametrize("name", ["llama.cpp", "ollama", "qnn", "foundry local"])
def test_the_machine_answers_for_each_part(name):
    told = answers(name)
    assert told.rows[0][0] == "machine" and all(found for _, found in told.rows)
    assert told.facts.name in str(told) and told.facts.source in told._repr_html_()

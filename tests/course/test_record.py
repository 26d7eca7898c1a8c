"""The progress file: never lost, never a crash."""

import json
import subprocess
import sys

import pytest

from course import record


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("SLMLAB_PROGRESS", str(path))
    return path


def test_what_is_noted_is_read_back_and_reading_alone_makes_no_file(file):
    fresh = {"version": 1, "exercises": {}, "quizzes": {}, "guesses": {}}
    assert record.read() == (fresh, "") and not file.parent.exists()
    assert record.note_exercise("size-3") == "" and record.note_quiz("start", 2, 3) == ""
    kept = fresh | {"exercises": {"size-3": "done"}, "quizzes": {"start": {"best": 2, "of": 3}}}
    assert record.read() == (kept, "") and json.loads(file.read_text()) == kept
    file.write_text('{"exercises": {"size-3": "done"}, "quizzes": {}}')  # as a course without guesses wrote it
    assert record.read()[0]["guesses"] == {} and set(record.read()[0]["exercises"]) == {"size-3"}


def test_a_damaged_file_is_set_aside_and_said_so(file):
    file.parent.mkdir()
    for damage in (b"", b"{", b"\xff\xfe\x00", b"[]", b'{"exercises": 3}'):
        file.write_bytes(damage)
        note = record.note_exercise("size-3")
        assert "kept as progress.json.damaged" in note and "\n" not in note
        assert file.with_name("progress.json.damaged").read_bytes() == damage, "nothing is thrown away"
        assert set(json.loads(file.read_text())["exercises"]) == {"size-3"}
        assert record.note_exercise("size-2") == "", "and said once"


def test_a_place_that_cannot_be_written_is_a_note_and_no_crash(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "a file" / "progress.json"))
    note = record.note_exercise("size-3")
    assert note.startswith("Progress was not saved") and "SLMLAB_PROGRESS" in note
    assert record.read()[0]["exercises"] == {} and "can't be read" in record.read()[1]


def test_two_kernels_lose_no_record(file):
    code = "import sys; from course.record import note_exercise as n\n"
    code += "for i in range(15): n(f'{sys.argv[1]}-{i}')"
    kernels = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [one.wait() for one in kernels] == [0, 0]
    assert len(record.read()[0]["exercises"]) == 30

"""The progress file: never lost, never a crash."""

import json
import subprocess
import sys
import threading

import pytest

from course import record as progress


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("SLMLAB_PROGRESS", str(path))
    return path


def test_without_the_variable_the_file_is_in_the_home_folder(monkeypatch):
    monkeypatch.delenv("SLMLAB_PROGRESS", raising=False)
    assert progress.progress_file().parts[-2:] == (".slmlab", "progress.json")


def test_reading_nothing_gives_an_empty_record_and_makes_no_file(file):
    record, note = progress.read()
    assert record["exercises"] == {} and record["quizzes"] == {} and note == ""
    assert not file.parent.exists()


def test_what_is_noted_is_read_back(file):
    assert progress.note_exercise("size-1") == "" and progress.note_quiz("start", 2, 3) == ""
    record, _ = progress.read()
    assert set(record["exercises"]) == {"size-1"} and record["quizzes"] == {"start": {"best": 2, "of": 3}}
    assert [one.name for one in file.parent.iterdir() if one.suffix not in (".json", ".lock")] == []


def test_the_best_score_stays(file):
    for right in (1, 3, 2):
        progress.note_quiz("start", right, 3)
    assert progress.read()[0]["quizzes"]["start"]["best"] == 3
    progress.note_quiz("start", 1, 2)
    assert progress.read()[0]["quizzes"]["start"] == {"best": 2, "of": 2}, "a quiz that lost a question"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"exercises": 3}', b'{"exercises": {}, "quizzes": {"a": 1}}']
)
def test_a_damaged_file_is_set_aside_and_said_so(file, damage):
    file.parent.mkdir()
    file.write_bytes(damage)
    note = progress.note_exercise("size-1")
    assert "damaged" in note and "\n" not in note
    assert file.with_name("progress.json.damaged").read_bytes() == damage, "nothing is thrown away"
    assert set(json.loads(file.read_text())["exercises"]) == {"size-1"}
    assert progress.note_exercise("size-2") == "", "and said once"


def test_a_damaged_file_is_set_aside_when_read_as_well(file):
    file.parent.mkdir()
    file.write_text("no json")
    record, note = progress.read()
    assert record["exercises"] == {} and "progress.json.damaged" in note


def test_a_place_that_cannot_be_written_is_a_note_and_no_crash(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "a file" / "progress.json"))
    note = progress.note_exercise("size-1")
    assert note.startswith("Progress was not saved") and "SLMLAB_PROGRESS" in note
    assert progress.read()[0]["exercises"] == {}


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(file, monkeypatch):
    progress.note_exercise("size-1")
    before = file.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress.json, "dump", full)
    assert "No space left on device" in progress.note_exercise("size-2")
    assert file.read_bytes() == before and not list(file.parent.glob("*.part"))


def test_many_threads_lose_no_record(file):
    workers = [threading.Thread(target=progress.note_exercise, args=(f"x-{n}",)) for n in range(12)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(progress.read()[0]["exercises"]) == 12


def test_two_kernels_lose_no_record(file):
    code = "import sys; from course.record import note_exercise as n\n"
    code += "for i in range(15): n(f'{sys.argv[1]}-{i}')"
    kernels = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [one.wait() for one in kernels] == [0, 0]
    assert len(progress.read()[0]["exercises"]) == 30

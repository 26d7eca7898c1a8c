"""Searching notes: a folder of anybody's is read or refused in one line, and the lesson's questions are fair."""

import re
import tomllib

import pytest

from course.making import read_notes
from slmlab.catalog import DATA
from slmlab.errors import NotHere

QUESTIONS = tomllib.loads((DATA / "questions" / "notes.toml").read_text(encoding="utf-8"))


def test_a_folder_gives_its_texts_and_one_line_for_each_file_that_is_left_out(tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.TXT").write_text("\ufeffIt is open.", encoding="utf-8")
    (tmp_path / "b.md").write_bytes(b"\xe9t\xe9")
    (tmp_path / "c.md").write_bytes(b"PK\x03\x00\x00")
    (tmp_path / "d.md").write_text(" \n")
    (tmp_path / "e.md").write_text("word " * 250_000)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    assert read_notes(tmp_path) == {"deep/a.TXT": "It is open."}
    lines = capsys.readouterr().out.splitlines()
    reasons = ("UTF-8", "no text", "is empty", "larger than 1 MB")
    assert len(lines) == 4 and all(why in line for why, line in zip(reasons, lines, strict=True)), lines


def test_a_folder_without_texts_and_one_that_is_not_there_say_what_to_do(tmp_path):
    with pytest.raises(NotHere, match="has no text to search: put .md or .txt files into it"):
        read_notes(tmp_path)
    for gone in (tmp_path / "gone", "~nobody-has-this-name/gone"):
        with pytest.raises(NotHere, match="There is no folder .*gone"):
            read_notes(gone)


def test_each_question_is_answered_in_one_paragraph_of_its_note_alone():
    notes = read_notes(DATA / "notes")
    assert len(notes) == 12 and all(80 <= len(text.split()) <= 160 for text in notes.values())
    for one in QUESTIONS["questions"]:
        good = [part for part in notes[one["note"]].split("\n\n") if re.search(one["right"], part.lower(), re.DOTALL)]
        assert len(good) == 1, f"{one['ask']}: {len(good)} paragraphs would count as right"
    assert (len(QUESTIONS["questions"]), len(QUESTIONS["none"])) == (20, 10)


def test_the_first_twelve_questions_share_no_telling_word_with_the_paragraph_that_answers_them():
    notes = read_notes(DATA / "notes")
    for one in QUESTIONS["questions"][:12]:
        answer = next(p for p in notes[one["note"]].split("\n\n") if re.search(one["right"], p.lower(), re.DOTALL))
        shared = {w for w in re.findall(r"\w{5,}", one["ask"].lower())} & {*re.findall(r"\w+", answer.lower())}
        assert not shared, f"{one['ask']}: {shared}"

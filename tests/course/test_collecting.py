"""What learners hand in, what an instructor gathers from it, and the certificate."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from course import record
from course.__main__ import main
from course.collecting import collect, hand_in
from course.exercises.registry import exercises
from course.quizzes import quizzes

SVG = "{http://www.w3.org/2000/svg}"


def do(lesson: str) -> None:
    """Finish a lesson."""
    for one in exercises().values():
        if one.lesson == lesson:
            record.note_exercise(one.id)
    for one in quizzes().values():
        if one.lesson == lesson:
            record.note_quiz(one.id, len(one.questions), len(one.questions))


def handed(folder, name, word=""):
    folder.mkdir(exist_ok=True)
    return hand_in(name, word, folder)[0]


def names(table) -> list[str]:
    return [row[0] for row in table.rows]


def test_what_is_handed_in_is_counted_and_said(tmp_path, capsys):
    do("00_start_here")
    record.note_quiz("slm-vs-llm", 4, 5)
    record.note_guess("tokens", "4", ["4"])
    record.note_outcome("tokens", True)
    main(["hand-in", "  Ann \t Lee\x1b ", "--into", str(tmp_path)])
    told = capsys.readouterr().out
    assert "the name Ann Lee, " in told and "(exercises 2, quizzes 2, guesses 1)" in told and "Nothing was sent" in told
    main(["collect", str(tmp_path)])
    told = capsys.readouterr().out
    assert re.search(r"^Ann Lee +2 +7 +1 +1 +1 ", told, re.MULTILINE) and "no proof" in told


def test_a_full_disk_leaves_no_half_file_to_hand_in(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no limit of a file's size")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(SystemExit, match="run the same line again"):
            main(["hand-in", "Ann", "--into", str(tmp_path / "")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("progress*"))


def test_what_does_not_count_is_named_in_a_sentence_each(tmp_path):
    good = handed(tmp_path, "Ann")
    changed, half = json.loads(good.read_text()), tmp_path / "half.json"
    changed["record"]["exercises"] = {"size-1": "done"}
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    half.write_bytes(good.read_bytes()[:90])
    mine = json.loads(good.read_text())
    for number, other in enumerate(([], {"name": "x"}, mine | {"record": {"quizzes": 3}}, mine | {"date": 5})):
        (tmp_path / f"other{number}.json").write_text(json.dumps(other))
    (tmp_path / "away.json").symlink_to(tmp_path / "nowhere")
    good.write_text(json.dumps(mine))  # laid out in another way, as mail may do: the same record
    found = collect(tmp_path)
    assert names(found) == ["Ann"]
    assert "changed.json (Ann) doesn't count: it was changed." in found.note
    assert "half.json is damaged" in found.note and "away.json can't be read" in found.note
    assert "Files that `hand-in` did not write: 4, such as other0.json." in found.note


def test_of_two_with_one_name_the_later_counts(tmp_path, monkeypatch):
    first = handed(tmp_path / "b", "Zoë")
    old = json.loads(first.read_text())
    do("00_start_here")
    second = handed(tmp_path / "a", "ZOE\u0308")  # the same letters, written in another way
    monkeypatch.setattr("course.collecting._seal", lambda body, word: body["sha256"])
    first.write_text(json.dumps(old | {"date": "2020-01-01T00:00:00+00:00"}))
    found = collect(tmp_path)
    assert len(found.rows) == 1 and found.rows[0][1] == 2
    assert f"a/{second.name} counts, b/{first.name} is earlier" in found.note


def test_a_class_with_a_word_takes_nothing_made_without_it(tmp_path):
    for name, word in (("Ann", "otter"), ("Bob", "Otter"), ("Cem", "")):
        handed(tmp_path, name, word)
    found = collect(tmp_path, "otter")
    assert names(found) == ["Ann"] and "(Bob) doesn't count: it was changed, or made with another word" in found.note
    assert "(Cem) doesn't count: it was made without the class's word" in found.note
    found = collect(tmp_path)
    assert names(found) == ["Cem"] and found.note.count("give it by --word") == 2


def test_no_name_is_a_formula_in_the_csv(tmp_path):
    given = ['=HYPERLINK("http://x";"y")', "+1", "-1", "@SUM(A1)", "＝1", "Ann;=1", "李小龍", "محمد"]
    for name in given:
        handed(tmp_path, name)
    main(["collect", str(tmp_path), "--csv", str(tmp_path / "class.csv")])
    assert (tmp_path / "class.csv").read_bytes().startswith("\ufeff".encode()), "else Excel spells 李 wrong"
    with open(tmp_path / "class.csv", encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    assert head[0] == "name" and sorted(row[0].lstrip("'") for row in rows) == sorted(given)
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@＝" and cell]


def test_a_certificate_shows_the_finished_lessons_and_any_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record.note_exercise("size-1")
    with pytest.raises(SystemExit, match="No lesson is finished yet"):
        main(["certificate", "Ann"])
    assert not list(tmp_path.glob("*.svg"))
    do("00_start_here")
    for name in ('<&> "O\'Neill"', "李" * 60, "محمد بن راشد", "Zoë"):
        main(["certificate", name])
        texts = {
            one.text: float(one.get("font-size")) for one in ElementTree.parse("certificate.svg").iter(f"{SVG}text")
        }
        assert 12 < texts[name] <= 960 / len(name), "it fits the sheet and can be read"
        assert "00 · Start here" in texts and "01 · Small and large" not in texts
        assert "2 exercises · quiz 3 of 3" in texts and any("each of its exercises is right" in one for one in texts)
        signed = {json.loads(path.read_text(encoding="utf-8"))["sha256"] for path in tmp_path.glob("progress-*.json")}
        assert any(f"SHA-256 {one}" in texts for one in signed)
    assert len(names(collect(tmp_path))) == 4, "the hash on each belongs to a file that can be checked"

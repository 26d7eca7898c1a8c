"""recordings: a model from a hub, through the lesson's own code and the command, to what the lesson shows."""

import hashlib
import json

import nbformat
import pytest

from course import recordings, widgets
from course.__main__ import main
from slmlab import loading
from slmlab.__main__ import main as slmlab_main
from slmlab.catalog import card
from slmlab.gguf.convert import transformers_to_onnx
from slmlab.machine import Machine
from tests.conftest import LESSONS, write_tiny_model
from tools.other_model import altered

ASKED = "Who won the football World Cup in 2030?"


def test_a_fetched_model_answers_in_the_lesson_and_its_recording_is_shown_labelled(model_hub, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "machine", lambda: Machine(10**10, 10**10))  # the card is of larger weights than these
    published, made, kept = card("phi-3.5-mini").onnx, tmp_path / "onnx", tmp_path / "kept"
    made.mkdir()
    transformers_to_onnx(write_tiny_model(tmp_path / "phi3", "phi3"), made, "int4")
    files = {file.name: file.read_bytes() for file in made.iterdir() if file.is_file()}
    model_hub.files = {f"{published.folder}/{name}": content for name, content in files.items()}
    assert slmlab_main(["fetch", "phi-3.5-mini"]) == 0

    lesson = {}  # what the cells of lesson 00 make, up to the answer
    cells = [cell.source for cell in altered(LESSONS[0], "phi-3.5-mini").cells if cell.cell_type == "code"]
    for source in cells[: next(at for at, one in enumerate(cells) if "reply.show()" in one) + 1]:
        exec(source, lesson)
    assert lesson["model"].card.id == "phi-3.5-mini" and lesson["model"].precision == "int4"

    main(["record", "phi-3.5", "--into", str(kept)])
    found = json.loads((kept / "phi-3.5-mini.json").read_text(encoding="utf-8"))
    whole = "model name engine precision source files_sha256 settings versions machine date answers".split()
    assert list(found) == whole and all(found.values())
    assert found["files_sha256"]["model.onnx"] == hashlib.sha256(files["model.onnx"]).hexdigest()
    said = found["answers"][0]
    assert said["question"] == ASKED and said["answer"] == lesson["reply"].text != "", "greedy, as in the lesson"
    assert said["new_tokens"] == 60 and said["prompt_tokens"] > 40 and 0 < said["ttft_s"] < said["total_s"]

    monkeypatch.setattr(recordings, "FOLDER", tmp_path / "none")
    assert widgets.recorded(ASKED) is None, "without a recording the cell shows nothing"
    monkeypatch.setattr(recordings, "FOLDER", kept)
    label = f"Phi-3.5-mini-instruct, recorded on {found['date']} on {found['machine']['cpu']}, int4, 60 tokens in"
    assert label in widgets.recorded(ASKED)._repr_html_().replace("<br>", " ")
    assert widgets.recorded("Never asked") is None


def test_what_can_not_be_recorded_is_told_and_nobody_answers_in_its_place(own_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    for gb, name, told in (
        (16, "phi-3.5-mimi", "phi-3.5-mini"),
        (16, "smollm2-135m", "not published for ONNX Runtime. Available: phi-3-mini"),
        (16, "phi-3.5-mini", "python -m slmlab fetch phi-3.5-mini"),
        (2, "phi-3.5-mini", "It takes 6.11 GB of memory"),
    ):
        monkeypatch.setattr(loading, "machine", lambda gb=gb: Machine(gb * 10**9, gb * 10**9))
        with pytest.raises(SystemExit, match=told):
            main(["record", name, "--into", str(tmp_path)])
    assert not list(tmp_path.glob("*.json"))


def test_every_recorded_prompt_stands_in_its_lesson_with_its_length():
    asked = recordings.prompts()
    for path in LESSONS:
        code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        own = [one for one in asked if one["lesson"] == path.stem[:2]]
        for one in own:
            assert any(one["question"] in cell and f"max_tokens={one['max_tokens']}" in cell for cell in code), one
        shows = [cell for cell in code if "widgets.recorded(" in cell]
        assert len(shows) <= 1 and all(any(one["question"] in cell for one in own) for cell in shows)

"""The starting document, row by row: each statement is taught where data/coverage.toml says."""

import re
import tomllib

import nbformat

from tests.conftest import LESSONS, ROOT

ROWS = tomllib.loads((ROOT / "data" / "coverage.toml").read_text(encoding="utf-8"))["row"]


def cells(number):
    (path,) = [path for path in LESSONS if path.name.startswith(f"{number}_")]
    return nbformat.read(path, as_version=4).cells


def test_each_statement_stands_in_the_table_once_and_in_a_cell_of_its_lesson():
    assert [row["number"] for row in ROWS] == list(range(1, 55))
    for row in ROWS:
        name, words = row.get("cell"), row.get("text", "\0").lower()
        found = [one for one in cells(row["lesson"]) if one.id == name or words in one.source.lower()]
        assert found, f"no such cell: {row}"
        executed = row["how"] in ("run", "practised") and any(one.cell_type == "code" for one in found)
        assert executed or row["how"] == "told", f"not executed: {row}"


def test_the_raw_lines_for_phi_3_5_vision_run_on_a_folder_of_its_form(tiny_phi3v_folder, tmp_path, monkeypatch, capsys):
    from tests.tiny_sight import noise

    (source,) = [one.source for one in cells("04") if one.id == "phi-how"]
    noise().save(tmp_path / "chart.png")
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", source, re.DOTALL)[1]
    exec(code.replace("phi-3.5-vision-onnx", tiny_phi3v_folder.as_posix()), {})
    assert capsys.readouterr().out, "random weights, but an answer"

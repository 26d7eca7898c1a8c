"""engines/onnx: what is ONNX Runtime GenAI's own."""

import json
import shutil

import pytest

from slmlab.catalog import card_of_folder
from slmlab.engines.onnx import OnnxEngine
from slmlab.errors import NotHere


def open_engine(folder, **options):
    return OnnxEngine(card_of_folder(folder), folder, "fp32", **options)


def test_threads_are_explicit(tiny_onnx_folder):
    assert open_engine(tiny_onnx_folder).threads >= 1
    assert open_engine(tiny_onnx_folder, threads=1).threads == 1


def test_long_prompts_give_all_their_logits_block_by_block(tiny_onnx, monkeypatch):
    whole = [value for _, value in tiny_onnx.logprobs("abcdefghij" * 5)]
    monkeypatch.setattr("slmlab.engines.onnx.BLOCK", 7)
    parts = [value for _, value in tiny_onnx.logprobs("abcdefghij" * 5)]
    assert parts[0] is None and parts[1:] == pytest.approx(whole[1:], abs=1e-4)


def test_a_folder_without_a_configuration_is_refused(tiny_folder):
    with pytest.raises(NotHere, match="genai_config.json"):
        open_engine(tiny_folder)


def test_a_truncated_graph_is_refused_and_named(tiny_onnx_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_onnx_folder, broken)
    graph = broken / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:100])
    with pytest.raises(NotHere, match="can't load"):
        open_engine(broken)


def test_a_configuration_that_is_no_json_is_refused(tiny_onnx_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_onnx_folder, broken)
    (broken / "genai_config.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(NotHere, match="genai_config.json"):
        open_engine(broken)

"""Sweeps: what was answered is kept whatever stops them, here and on Ray's nodes."""

import importlib.util
import json
import threading
import time
from collections import Counter

import pytest

from course import sweeps
from course.evaluate import Question, Verdict
from course.sweeps import sweep
from slmlab.errors import BadRequest, NotHere
from tests.live_server import ScriptedEngine

RAY = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="no Ray: data/environments/scale.txt installs it")
QUESTIONS = [Question(f"q{number}", "towns", f"Question {number}?", answers=("rome",)) for number in range(6)]
SETTINGS = [{"max_tokens": 3}, {"max_tokens": 5}]


@pytest.fixture
def opened(monkeypatch):
    """The names of the models that were opened; each says where Rome is."""
    names = []

    def load(name, **_):
        names.append(name)
        if name == "away":
            raise NotHere("away has no weights here.")
        return ScriptedEngine("It is Rome.")

    monkeypatch.setattr(sweeps, "load", load)
    monkeypatch.setattr(sweeps, "_loaded", {})
    return names


def lines(results) -> list[dict]:
    return [json.loads(line) for line in results.read_text().splitlines()]


def test_a_sweep_goes_on_after_a_stop_and_a_half_written_line_and_asks_nothing_twice(opened, tmp_path):
    results, asked, kept = tmp_path / "results.jsonl", [], []

    def stopping(model, question, **setting):
        if len(asked) == 8:
            kept.append(results.read_bytes().count(b"\n"))
            raise KeyboardInterrupt
        asked.append((question.id, setting["max_tokens"]))
        return Verdict(question, "no", setting["max_tokens"] == 5)

    with pytest.raises(KeyboardInterrupt):
        sweep(["one"], QUESTIONS, SETTINGS, results, score=stopping)
    assert kept == [8], "a kill at this moment would have lost answers"
    with results.open("a") as file:
        file.write('{"model": "one", "question": "q2", "setting": "max_tok')
    whole = results.read_text().splitlines()[:8]
    asked.append("the stop")
    found = sweep(["one"], QUESTIONS, SETTINGS, results, score=stopping)
    assert results.read_text().splitlines()[:8] == whole and len(lines(results)) == 12 == len(set(asked)) - 1
    assert [str(cell) for cell in found.rows[0]] == ["one", "0% (0%-39%, n=6)", "100% (61%-100%, n=6)"]
    sweep(["one"], QUESTIONS, SETTINGS, results, score=stopping)
    assert len(asked) == 13 and opened == ["one"], "a finished sweep loads no model"


def test_a_file_that_no_sweep_wrote_stays_as_it_is(opened, tmp_path):
    for text in ('{"mine": 1}', "my notes\n", "[1]\n", '{"model": 1}\n'):
        results = tmp_path / "mine.json"
        results.write_text(text)
        with pytest.raises(BadRequest, match="no sweep wrote"):
            sweep(["one"], QUESTIONS, SETTINGS, results)
        assert results.read_text() == text and not opened


def test_a_model_that_fails_is_named_and_asked_again_and_the_others_go_on(opened, tmp_path, monkeypatch):
    results = tmp_path / "results.jsonl"
    found = sweep(["away", "one"], QUESTIONS, SETTINGS, results)
    assert opened == ["away", "one"], "each model is opened once, also one that can't be"
    assert found.note == "away: 12 failed, and the same line asks again. NotHere: away has no weights here."
    assert [row[0] for row in found.rows] == ["away", "one"] and found.rows[0][1] == "–" and found.rows[1][1].right == 6
    monkeypatch.setattr(sweeps, "load", lambda name, **_: ScriptedEngine("It is Rome."))
    found = sweep(["away", "one"], QUESTIONS, SETTINGS, results)
    assert found.note == "" and found.rows[0][1].right == 6 and len(lines(results)) == 36


@RAY
def test_two_nodes_share_a_sweep_and_a_node_that_dies_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on Linux too, nodes talk by the loopback alone
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        doomed = cluster.add_node(**node)
        tries, hangs, gone = tmp_path / "tries", tmp_path / "hangs", doomed.node_id

        def score(model, question, **_):
            import ray

            here = ray.get_runtime_context().get_node_id()
            with tries.open("a") as file:
                file.write(f"{question.id} {here}\n")
            for _ in range(900):  # else the first node may have done all before the second is up
                if gone in tries.read_text():
                    break
                time.sleep(0.1)
            if here == gone and tries.read_text().count(gone) == 3:
                hangs.touch()
                time.sleep(600)  # its node dies before
            time.sleep(0.3)  # as long as an answer takes
            return Verdict(question, model.name, True)

        def kill():
            while not hangs.exists():
                time.sleep(0.1)
            cluster.remove_node(doomed, allow_graceful=False)

        threading.Thread(target=kill, daemon=True).start()
        asked = [Question(f"q{number}", "any", "?") for number in range(20)]
        found = sweep(["tiny-dense"], asked, [{}], tmp_path / "results.jsonl", on=cluster.address, score=score)
    finally:
        cluster.shutdown()
    rows = lines(tmp_path / "results.jsonl")
    assert found.rows[0][1].right == 20 and sorted(row["question"] for row in rows) == sorted(one.id for one in asked)
    assert Counter(row["node"] for row in rows)[gone] == 2 and len({row["node"] for row in rows}) == 2
    twice = Counter(line.split()[0] for line in tries.read_text().splitlines()).most_common(1)
    assert twice[0][1] == 2, "what the dead node was at was tried anew, on the other"

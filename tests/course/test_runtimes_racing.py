"""Who takes part in a race, what is measured, what happens to those that fail, and the same question to each."""

import math
from functools import cache

import pytest

from course.runtimes import racing as room
from course.runtimes.contract import chat_format
from course.runtimes.listing import made
from course.runtimes.process import Worker
from course.runtimes.racing import ask, race, text_ids
from slmlab.errors import BadRequest, UnknownName
from slmlab.measure import agreement, perplexity
from tests.planted_package import COUNTING

OWN, PEER = "onnx fp32", "llama.cpp"
QUESTION = "What is the capital of France?"
DEATH = """
import os, sys
def die(self, asked):
    sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os._exit(3)
Server.handle_completions = die
"""
SLOW = """
import time
at_once = Server.handle_completions
def slowly(self, asked):
    time.sleep(0.002 * len(asked['prompt'])); return at_once(self, asked)
Server.handle_completions = slowly
"""


@pytest.fixture
def started(monkeypatch):
    """Every process that a race starts."""
    found = []
    start = Worker.__init__

    def watched(self, *arguments, **options):
        start(self, *arguments, **options)
        found.append(self.process)

    monkeypatch.setattr(Worker, "__init__", watched)
    yield found
    assert all(process.returncode is not None for process in found), "whatever happens, a race leaves no process behind"


def short(names, **options):
    return race(names, **{"rounds": 1, "written": 2, "judged": 2} | options)


def test_a_race_measures_and_scores_those_that_run_and_names_those_that_do_not(
    started, planted, bundled, monkeypatch, capsys
):
    """The one race of real runtimes: it costs the most time of all tests here."""
    planted(COUNTING + DEATH)
    monkeypatch.setattr(room, "READ", 64)
    found = race([OWN, "onnx q4", PEER, "qnn"], rounds=2, written=4, judged=40)
    for one in (found[OWN], found["onnx q4"]):
        assert one.ran and len(one.reads) == len(one.writes) == 2 and min(one.reads + one.writes) > 0
        assert one.resident_bytes > one.size_bytes / 4 and one.start_s > 0 and one.version and one.token_bytes
    assert found[OWN].agreement == 1 and found["onnx q4"].agreement > 0.8, "onnx fp32 is what quality is held against"
    assert found[OWN].loss == 0 and abs(found["onnx q4"].loss) < 0.1
    assert found["onnx q4"].perplexity == pytest.approx(found[OWN].perplexity, rel=0.1)
    assert found[PEER].fault == "llama.cpp ended (exit code 3): out of luck" and "Snapdragon" in found["qnn"].absent
    assert len(found.rows()) == 2 and list(found)[0].ran and len(found.left_out()) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{OWN} starts · 0 s of at most 120 s") and "round 2 of 2" in lines[-2]
    assert found.others_cores >= 0


def test_a_slow_one_is_left_out_with_its_speed(started, planted, monkeypatch):
    planted(COUNTING + SLOW)
    monkeypatch.setattr(room, "PATIENCE_S", 0.5)
    found = short([PEER], rounds=3)
    assert not found[PEER].reads and "too slow for this race" in found[PEER].fault


def test_when_the_time_is_up_nothing_is_begun_and_the_rest_is_told(started, planted):
    planted(COUNTING)
    found = short([PEER], most_s=0)
    assert not started and "llama.cpp was left out: the time of 0 s was used up." in found.left_out()
    assert "Not all rounds were run" in found.about and found.verdict().startswith("None of these")


def test_a_race_whose_last_round_ends_late_has_run_all_of_them():
    bar = room._Bar(1, most_s=3600)
    assert bar.step("runs")
    bar.began -= 4000
    bar.end()
    assert not bar.late


def test_an_interrupted_race_ends_every_process(started, planted, monkeypatch):
    planted(COUNTING)

    def interrupt(racer, ids):
        raise KeyboardInterrupt

    monkeypatch.setattr(room._Racer, "score", interrupt)
    with pytest.raises(KeyboardInterrupt):
        short([PEER])
    assert started


def test_what_makes_no_race_is_refused_before_anything_starts(started):
    with pytest.raises(UnknownName, match="Unknown runtime 'onnx q3'. Available: onnx q4"):
        race(["onnx q4", "onnx q3"])
    with pytest.raises(BadRequest, match="rounds=0 is out of range"):
        race([PEER], rounds=0)
    assert not started


def test_where_memory_is_short_the_rest_is_left_out(monkeypatch):
    """All of them are loaded at the same time: the machine must not be brought to its knees."""
    monkeypatch.setattr(room, "memory", lambda: (2_000_000_000, 500_000_000))
    found = short(["onnx q4", "onnx int8"])
    assert [one.ran for one in found] == [False, False]
    assert "500 MB of memory are free" in found["onnx q4"].fault


def test_a_built_in_runtime_answers_as_its_model_does(bundled):
    name = f"{bundled.engine} {bundled.precision}"
    answer = ask(name, QUESTION, max_tokens=20)
    assert answer.text == bundled.ask(QUESTION, max_tokens=20).text
    assert repr(answer) == f"{name}: {answer.text}"
    assert len(ask(name, "Count from one to a hundred.", max_tokens=11).ids) == 11, "no more ids than were asked for"


def test_a_question_that_cannot_be_asked_is_refused(bundled):
    for wrong in (0, 100_000):
        with pytest.raises(BadRequest, match="max_tokens="):
            ask("onnx q4", QUESTION, max_tokens=wrong)
    with pytest.raises(BadRequest, match="at most 1,024 tokens"):
        ask("onnx q4", "word " * 2000)


# Every runtime that computes, held against the bundled model in fp32


def opened(name):
    runtime = made(name)
    if need := runtime.need():
        pytest.skip(need)
    runtime.prepare()
    runtime.open()
    return runtime


def check_writing(runtime):
    """Reading again begins from nothing, and writing goes on where it stopped."""
    ids = chat_format().ids("The capital of France is Paris, and the capital of Spain is")
    runtime.read(ids)
    whole = runtime.write(2) + runtime.write(2)
    runtime.read(chat_format().ids("Something else altogether."))
    runtime.write(1)
    runtime.read(ids)
    assert runtime.write(4) == whole and "Madrid" in chat_format().text(whole[:2])


def check_scoring(runtime, least, worst):
    """Probabilities of the ids that are there and the likeliest in their places, near enough to those in fp32."""
    ids = text_ids()[:200]
    logprobs, likeliest = runtime.score(ids)
    assert len(logprobs) == len(likeliest) == len(ids) - 1 and max(logprobs) <= 0 and math.isfinite(sum(logprobs))
    right, best = _in_full(tuple(ids))
    assert perplexity(logprobs) < worst * perplexity(right)
    assert agreement(likeliest, best) >= least
    assert runtime.resident_bytes() > 10**7


@cache
def _in_full(ids):
    full = opened("onnx fp32")
    told = full.score(list(ids))
    full.close()
    return told


# openvino rounds the file's offsets to whole zero points: a third of its likeliest ids are others
@pytest.mark.parametrize(
    ("name", "agreement", "worst"),
    [("onnx q4", None, None), ("llama.cpp", 0.9, 1.05), ("openvino", 0.5, 1.5), ("mlx", 0.97, 1.01),
     ("ollama", None, None)],
)  # fmt: skip
def test_a_runtime_goes_on_begins_anew_and_is_as_good_as_the_lesson_says(name, agreement, worst):
    runtime = opened(name)
    check_writing(runtime)
    if agreement:  # ollama tells no probabilities, and the race has scored onnx q4
        check_scoring(runtime, agreement, worst)
    assert runtime.version and runtime.size_bytes > 10**7 and (not runtime.token_bytes or runtime.token_bytes > 10**7)
    runtime.close()

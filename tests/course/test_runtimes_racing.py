"""runtimes.racing: who takes part, what is measured, and what happens to those that fail."""

import pytest

from course.runtimes import racing as room
from course.runtimes.racing import READ, SHORT_READ, race
from course.runtimes.worker import Worker
from slmlab.errors import BadRequest, UnknownName
from tests.planted_package import COUNTING, plant

OWN, PEER = "onnx fp32", "llama.cpp"


@pytest.fixture
def started(monkeypatch):
    """Every process that a race starts."""
    found = []
    start = Worker.__init__

    def watched(self, *arguments, **options):
        start(self, *arguments, **options)
        found.append(self._process)

    monkeypatch.setattr(Worker, "__init__", watched)
    yield found
    assert all(process.poll() is not None for process in found), "whatever happens, a race leaves no process behind"


def quiet(line):
    pass


def test_the_built_in_ones_are_measured_and_judged(started, bundled):
    lines = []
    found = race([OWN, "onnx q4"], rounds=2, written=4, judged=40, show=lines.append)
    for one in found:
        assert one.ran and len(one.reads) == len(one.writes) == 2 and min(one.reads + one.writes) > 0
        assert one.resident_bytes > one.size_bytes / 4 and one.start_s > 0 and one.version
    assert found[OWN].agreement == 1 and found["onnx q4"].agreement > 0.8, "onnx fp32 is what quality is held against"
    assert found["onnx q4"].perplexity == pytest.approx(found[OWN].perplexity, rel=0.1)
    assert lines[0].startswith(f"{OWN} started in") and lines[-1] == "round 2 of 2" and found.others_cores >= 0


def test_one_that_is_not_here_is_in_the_results_with_its_line(started, tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", "raise ImportError('hidden')")
    found = race([PEER, "qnn"], rounds=1, written=2, judged=2, show=quiet)
    assert found[PEER].absent.startswith("python -m pip install xllamacpp==") and "hidden" in found[PEER].absent
    assert "Snapdragon" in found["qnn"].absent and not found.rows() and len(found.left_out()) == 2


def test_a_version_that_is_too_old_is_named_beside_the_line(started, tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2025.1", COUNTING)
    found = race(PEER, rounds=1, written=2, judged=2, show=quiet)
    assert found[0].absent.startswith("python -m pip install xllamacpp==")
    assert "xllamacpp 2025.1 is too old: 2026.10 or later" in found[0].absent


@pytest.mark.parametrize(
    "death", ["import os; os.write(2, b'first\\nout of luck\\n'); os._exit(3)", COUNTING + "\nimport os, sys\n"
    "def die(self, asked):\n    sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os._exit(3)\n"
    "Server.handle_completions = die"]
)  # fmt: skip
def test_the_others_go_on_when_one_dies(started, bundled, tmp_path, monkeypatch, death):
    """At its start, or when it is asked for the first time."""
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", death)
    found = race([PEER, OWN], rounds=1, written=2, judged=2, show=quiet)
    assert found[OWN].ran and found[0].name == OWN
    assert found[PEER].fault == "llama.cpp ended (exit code 3): out of luck" and not found[PEER].ran
    assert found.left_out() == [found[PEER].fault]


def test_a_slow_one_runs_one_short_round(started, tmp_path, monkeypatch):
    wait = COUNTING + (
        "\nimport time\nat_once = Server.handle_completions\n"
        "def slowly(self, asked):\n    time.sleep(0.002 * len(asked['prompt']))\n    return at_once(self, asked)\n"
        "Server.handle_completions = slowly"
    )
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", wait)
    monkeypatch.setattr(room, "PATIENCE_S", 0.5)
    found = race(PEER, rounds=3, written=4, judged=2, show=quiet)
    assert len(found[0].reads) == 1 and 0 < found[0].reads[0] < 500, f"{SHORT_READ} ids and not {READ} in that time"
    assert "llama.cpp, slow here: one round" in found.about


def test_an_interrupted_race_ends_every_process(started, tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", COUNTING)

    def interrupt(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        race(PEER, rounds=1, written=2, judged=2, show=interrupt)
    assert started


def test_without_fp32_nothing_is_said_about_agreement(started, tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", COUNTING)
    found = race(PEER, rounds=1, written=2, judged=3, show=quiet)
    assert found[0].perplexity == pytest.approx(2.0) and found[0].agreement is None and "unknown" in found.rows()[0]


def test_a_name_that_nobody_has_is_refused_before_anything_starts(started):
    with pytest.raises(UnknownName, match="Unknown runtime 'onnx q3'. Available: onnx q4"):
        race(["onnx q4", "onnx q3"])
    assert not started


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"written": 1}, {"judged": 2000}, {"rounds": True}])
def test_what_makes_no_race_is_refused(started, wrong):
    with pytest.raises(BadRequest, match=f"{next(iter(wrong))}="):
        race(PEER, **wrong)
    assert not started


def test_everybody_stays_on_cores_that_this_process_may_use():
    import os

    chosen = room.cores()
    if chosen is None:
        pytest.skip("this system lets nobody choose cores")
    assert chosen and set(chosen) <= set(range(os.cpu_count()))


def test_where_memory_is_short_the_rest_is_left_out(monkeypatch):
    """All of them are loaded at the same time: the machine must not be brought to its knees."""
    monkeypatch.setattr(room, "memory", lambda: (2_000_000_000, 500_000_000))
    found = race(["onnx q4", "onnx int8"], rounds=1, written=2, judged=2, show=lambda line: None)
    assert [one.ran for one in found] == [False, False]
    assert "500 MB of memory are free" in found["onnx q4"].fault

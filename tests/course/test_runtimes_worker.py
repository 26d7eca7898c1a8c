"""runtimes.worker: a process that is started, asked, and gone afterwards."""

import pytest

from course.runtimes.worker import Ended, Worker
from tests.planted_package import COUNTING, plant


@pytest.fixture
def counting(tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", COUNTING)


def test_it_says_what_it_has_loaded_and_answers(counting):
    with Worker("llama.cpp") as worker:
        told = worker.start()
        assert told["size_bytes"] > 10**7 and told["version"] == "2026.11" and told["start_s"] > 0
        answer = worker.ask(read=[1, 2], write=3)
        assert answer["ids"] == [7, 8, 9] and answer["read_s"] > 0 and answer["resident_bytes"] > 10**6
    assert worker._process.returncode == 0


def test_it_goes_on_where_it_stopped(counting):
    with Worker("llama.cpp") as worker:
        worker.start()
        assert "write_s" not in worker.ask(read=[1, 2])
        assert "read_s" not in worker.ask(write=2)


def test_one_that_refuses_gives_its_reason(tmp_path):
    with Worker("onnx q4", file=tmp_path) as worker, pytest.raises(Ended, match="ended .*reads no GGUF file"):
        worker.start()


def test_one_that_was_killed_is_said_to_be(counting):
    with Worker("llama.cpp") as worker:
        worker.start()
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(Ended, match=r"llama.cpp ended \((signal 9|exit code \d+)\)"):
            worker.ask(read=[1])


def test_what_a_runtime_prints_is_no_answer(tmp_path, monkeypatch):
    plant(
        tmp_path, monkeypatch, "xllamacpp", "2026.11", "print('hello')\nimport os\nos.write(1, b'there\\n')" + COUNTING
    )
    with Worker("llama.cpp") as worker:
        assert worker.start()["version"] == "2026.11"


def test_one_that_does_not_end_by_itself_is_ended(tmp_path, monkeypatch):
    hang = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", hang)
    monkeypatch.setattr("course.runtimes.worker.STOP_S", 0.5)
    with Worker("llama.cpp") as worker:
        pass
    assert worker._process.returncode is not None

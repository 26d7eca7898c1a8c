"""A runtime's process: started, asked, and gone afterwards, whatever happens."""

import os
import subprocess
import sys

import pytest

from course.runtimes import process
from course.runtimes.process import Ended, Worker
from tests.planted_package import COUNTING

HANG = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
CORES = "import os, sys\nsys.exit(f'cores: {sorted(os.sched_getaffinity(0))}')"
NOISE = "print('hello')\nimport os\nos.write(1, b'there\\n')"
SCRIPT = "from course import runtimes\nprint(runtimes.ask('llama.cpp', 'Hi', max_tokens=2).ids)"


def test_it_says_what_it_has_loaded_and_answers_each_command(planted):
    planted(NOISE + COUNTING)
    with Worker("llama.cpp") as worker:
        told = worker.answer()
        assert told["size_bytes"] > 10**7 and told["version"] == "2026.11" and told["start_s"] > 0
        answer = worker.ask(read=[1, 2], write=3)
        assert answer["ids"] == [7, 8, 9] and answer["read_s"] > 0 and answer["resident_bytes"] > 10**6
        assert "read_s" not in worker.ask(write=2), "it goes on where it stopped"
        assert worker.ask(score=[1, 7, 7]) == {"logprobs": [-0.6931472] * 2, "likeliest": [7, 7]}
    assert worker.process.returncode == 0


def test_a_script_without_a_main_guard_may_ask(planted, tmp_path):
    planted(COUNTING)
    script = tmp_path / "plain.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "(7, 8)\n"), done.stderr


def test_what_is_absent_is_all_it_says(planted):
    planted("import a_part_that_is_missing")
    with Worker("llama.cpp") as worker:
        absent = worker.answer()["absent"]
    assert "python -m pip install xllamacpp==" in absent and "a_part_that_is_missing" in absent


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system lets nobody choose cores")
def test_it_is_on_its_cores_before_a_runtime_is_imported(planted):
    planted(CORES)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        assert process.cores() == [max(allowed)], "no core that this process may not use"
    finally:
        os.sched_setaffinity(0, allowed)
    said = str(process.cores()).replace("[", r"\[")
    with Worker("llama.cpp") as worker, pytest.raises(Ended, match=rf"\(exit code 1\): cores: {said}"):
        worker.answer()


def test_one_that_dies_gives_its_last_line(planted):
    planted(COUNTING)
    with Worker("llama.cpp") as worker:
        worker.answer()
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(Ended, match=r"llama.cpp ended \((signal 9|exit code \d+)\): it said nothing"):
            worker.ask(read=[1])


def test_one_that_does_not_end_by_itself_is_ended(planted, monkeypatch):
    planted(HANG)
    monkeypatch.setattr(process, "STOP_S", 0.5)
    with Worker("llama.cpp") as worker:
        pass
    assert worker.process.returncode

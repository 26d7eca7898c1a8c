"""python -m slmlab: the commands as a person types them."""

import io
import os
import shutil
import subprocess
import sys

from slmlab import weights
from slmlab.__main__ import main
from slmlab.catalog import cards


def run(*arguments, **options):
    command = [sys.executable, "-m", "slmlab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


def test_one_question_streams_one_answer_and_exits(bundled):
    done = run("chat", "What is the capital of France?")
    assert done.returncode == 0 and "Paris" in done.stdout and done.stderr == ""


def test_a_fallback_is_said_beside_the_answer_and_every_setting_reaches_it(bundled):
    settings = {"max_tokens": 5, "stop": ["?", "!"]}
    done = run("chat", "Say hi.", "--model", "gpt-4", "--max-tokens", "5", "--stop", "?", "--stop", "!")
    assert done.stdout == bundled.ask("Say hi.", **settings).text + "\n" and "instead of gpt-4" in done.stderr


def test_without_a_question_a_conversation_runs_until_the_input_ends(bundled):
    done = run("chat", "--max-tokens", "12", input="What is the capital of France?\nAnd of Italy?\n")
    assert done.returncode == 0 and "Paris" in done.stdout and "Rome" in done.stdout


def test_bad_input_is_one_clear_line(bundled, capsys):
    for arguments, said in (
        (["chat", "hi", "--model", "ph1"], "Unknown model 'ph1'. Available: phi"),
        (["chat", "word " * 9000], "9,"),
        (["fetch", "phi-5"], "Unknown model"),
    ):
        assert main(arguments) == 1 and said in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback(bundled):
    shell = f"{sys.executable} -m slmlab models | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("name") and "Traceback" not in done.stderr


def test_a_command_runs_in_a_notebook_whose_streams_cannot_be_told_their_errors(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())  # as ipykernel's, it has no `reconfigure`
    assert main(["models"]) == 0 and all(name in sys.stdout.getvalue() for name in cards())
    assert max(map(len, sys.stdout.getvalue().splitlines())) <= 100, "a terminal is so wide"


def test_fetch_says_where_the_model_is_and_verify_deletes_what_is_damaged(bundled, own_cache):
    offline, target = os.environ | {"SLMLAB_OFFLINE": "1"}, weights.place(bundled.card, "onnx-q4")
    shutil.copytree(bundled.format.folder, target)
    done = run("fetch", "--verify", env=offline)
    assert "onnx-q4 has the right hashes\nsmollm2-135m onnx-q4 is ready in" in done.stdout and done.returncode == 0
    (target / "genai_config.json").write_bytes(bytes((target / "genai_config.json").stat().st_size))
    done = run("fetch", "--verify", env=offline)
    assert "its hash differs, so it was deleted" in done.stdout and not target.exists()
    assert done.returncode == 1 and "Two ways to get it" in done.stderr

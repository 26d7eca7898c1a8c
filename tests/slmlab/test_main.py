"""python -m slmlab: the commands as a person types them."""

import json
import os
import subprocess
import sys

import pytest


def run(*arguments, **options):
    command = [sys.executable, "-m", "slmlab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


def test_one_question_streams_one_answer_and_exits(bundled):
    done = run("chat", "What is the capital of France?")
    assert done.returncode == 0 and "Paris" in done.stdout and done.stderr == ""


def test_json_holds_the_records(bundled):
    record = json.loads(run("chat", "Say hi.", "--json", "--max-tokens", "5").stdout)
    assert record["model"] == "smollm2-135m" and len(record["tokens"]) == record["metrics"]["new_tokens"] <= 5
    assert "".join(token["text"] for token in record["tokens"]) == record["text"]


def test_a_fallback_is_said_beside_the_answer_and_not_in_it(bundled):
    done = run("chat", "hi", "--model", "gpt-4", "--json", "--max-tokens", "2")
    assert json.loads(done.stdout)["model"] == "smollm2-135m" and "instead of gpt-4" in done.stderr


def test_without_a_question_a_conversation_runs_until_the_input_ends(bundled):
    done = run("chat", "--max-tokens", "12", input="What is the capital of France?\nAnd of Italy?\n")
    assert done.returncode == 0 and "Paris" in done.stdout and "Rome" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chat", "hi", "--model", "ph1"], "Unknown model 'ph1'. Available: phi"),
        (["chat", ""], "question is empty"),
        (["chat", "hi", "--temperature", "-1"], "temperature=-1.0 is out of range"),
        (["chat", "hi", "--max-tokens", "0"], "max_tokens=0 is out of range"),
        (["chat", "word " * 9000], "9,"),
        (["fetch", "phi-5"], "Unknown model"),
    ],
)
def test_bad_input_is_one_clear_line(bundled, arguments, said):
    done = run(*arguments)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_closed_output_or_input_is_no_traceback(bundled):
    shell = f"{sys.executable} -m slmlab chat"
    for command in (f"{shell} hi --max-tokens 2 >&-", f"{shell} <&-", f"{shell} hi --max-tokens 2 >/dev/full"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr, command


def test_an_empty_line_of_a_pipe_is_passed_over(bundled):
    done = run("chat", "--max-tokens", "12", input="\nWhat is the capital of France?\n\nAnd of Italy?\n")
    assert "Paris" in done.stdout and "Rome" in done.stdout


def test_verify_reads_every_form_and_mends_it(bundled, own_cache):
    import shutil

    from slmlab import weights

    source = bundled.format.folder
    target = weights.place(bundled.card, "onnx-int8")
    shutil.copytree(source, target)
    (target / "genai_config.json").write_text("{}")
    done = run("fetch", "--verify", "--form", "onnx-int8", env=os.environ | {"SLMLAB_OFFLINE": "1"})
    assert "so it was deleted" in done.stdout and done.returncode == 1 and "Two ways to get it" in done.stderr


def test_models_lists_every_card():
    from slmlab.catalog import cards

    listing, table = json.loads(run("models", "--json").stdout), run("models").stdout
    assert [one["id"] for one in listing] == list(cards()) and all(name in table for name in cards())


def test_fetch_says_where_the_model_is(bundled):
    done = run("fetch", "--form", "onnx-int8", env=os.environ | {"SLMLAB_OFFLINE": "1"})
    assert done.returncode == 0 and "onnx-int8 is ready in" in done.stdout


def test_progress_is_shown_and_reset(tmp_path):
    own = os.environ | {"SLMLAB_PROGRESS": str(tmp_path / "progress.json")}
    assert run("progress", env=own).returncode == 0
    assert "cleared" in run("progress", "reset", env=own).stdout


@pytest.mark.parametrize("command", ["doctor", "models", "fetch", "chat", "progress"])
def test_every_command_explains_itself(command):
    done = run(command, "--help")
    assert done.returncode == 0 and "usage: python -m slmlab " + command in done.stdout


def test_importing_slmlab_loads_nothing_heavy():
    heavy = ("torch", "transformers", "matplotlib", "numpy", "onnxruntime_genai", "ipywidgets", "psutil")
    code = f"import sys, slmlab; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

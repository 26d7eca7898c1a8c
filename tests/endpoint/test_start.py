"""The server in a process of its own: it starts, says what is wrong, stops, and is never left over."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
from openai import AuthenticationError, OpenAI

from endpoint import app, start
from endpoint.start import ROOT, serve
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import HELLO, ONE_FAMILY, until

PLANTED = "planted-server-key"
QUESTIONS = [f"What is {thing}?" for thing in ("rain", "bread", "a cat", "the moon", "gold", "a song", "ice", "tea")]


def is_gone(pid: int) -> bool:
    """Whether a process has ended: one that nobody has fetched yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def tiny_server(tiny_onnx_folder):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NVIDIA_API_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "SLMLAB_SERVER_KEY"):
            patch.setenv(name, f"planted-{name}")
        started = serve(str(tiny_onnx_folder), key=f" {PLANTED} ", host="0.0.0.0", seats=4, record=True)
    with started as server:
        yield server


@ONE_FAMILY
def test_it_answers_under_its_url_to_its_key(tiny_server):
    with OpenAI(base_url=tiny_server.url, api_key=tiny_server.key.get_secret_value(), max_retries=0) as client:
        model, _ = client.models.list()
        assert client.chat.completions.create(model=model.id, messages=HELLO, max_tokens=3).choices
    assert tiny_server.exchange().parts["status"] == 200
    with OpenAI(base_url=tiny_server.url, api_key="wrong", max_retries=0) as client, pytest.raises(AuthenticationError):
        client.models.list()
    assert tiny_server.is_running


@ONE_FAMILY
def test_the_first_lines_of_the_log_say_who_answers_and_where(tiny_server):
    assert tiny_server.read("/health") == '{"status":"ok"}'
    until(lambda: "GET /health 200" in tiny_server.log())
    first, warning, second, *_ = tiny_server.log(100).splitlines()
    assert first.startswith("Answers come from") and first.endswith("the protocol is OpenAI's.")
    assert second == f"Listening at {tiny_server.url}" and tiny_server.url.startswith("http://127.0.0.1:")
    assert warning.startswith("The whole network may ask")
    assert "/health" in tiny_server.log(1), "the last line is the latest"


@ONE_FAMILY
def test_no_key_is_in_an_argument_a_log_or_what_is_shown(tiny_server):
    child = psutil.Process(tiny_server._process.pid)
    assert not [one for one in child.cmdline() if "planted" in one], "arguments are there for all to read"
    assert "planted" not in tiny_server.log(1000)
    assert "planted" not in f"{tiny_server!r} {vars(tiny_server)!r}"


@ONE_FAMILY
def test_stopping_ends_the_child_and_frees_its_port(tiny_onnx_folder):
    with serve(str(tiny_onnx_folder), seats=2) as server:
        pid, port = server._process.pid, int(server.root.rsplit(":", 1)[1])
        with pytest.raises(SlmLabError, match=r"serve\(record=True\)"):
            server.exchange()
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5, "one that answers nothing stops at once"
        assert is_gone(pid) and not server.is_running and repr(server).endswith("stopped)")
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@ONE_FAMILY
def test_no_orphan_is_left_when_the_starter_is_killed(tiny_onnx_folder):
    program = (
        "import sys, time; from endpoint import serve; "
        "s = serve(sys.argv[1], seats=2); print(s._process.pid, s.root, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tiny_onnx_folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        pid, root = starter.stdout.readline().split()
        assert requests.get(root + "/health", timeout=10).ok and not is_gone(int(pid))
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
        starter.stdout.close()
    until(lambda: is_gone(int(pid)), most_s=10, step_s=0.05)


def test_a_mistake_is_refused_without_a_process():
    before = set(psutil.Process().children())
    with pytest.raises(BadRequest, match="Unknown profile 'nvidea'.*nvidia"):
        serve(profile="nvidea")
    for key in ("", "  ", "a b", "ключ"):
        with pytest.raises(BadRequest, match="key"):
            serve(key=key)
    assert set(psutil.Process().children()) <= before


# The command


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    start.register(parser.add_subparsers())
    return parser.parse_args(["serve", *arguments])


def test_what_is_asked_for_reaches_the_server(monkeypatch, tiny_onnx_folder):
    seen = []
    monkeypatch.setattr(app, "run", lambda profile, listening, until_input_ends: seen.append(profile))
    monkeypatch.setenv("SLMLAB_SERVER_KEY", "from-the-variable")
    options = ["--model", str(tiny_onnx_folder), "--precision", "fp32", "--profile", "nvidia", "--seats", "3",
               "--waiting", "5", "--per-minute", "7", "--retired"]  # fmt: skip
    assert start.run(parsed(*options)) == 0
    start.run(parsed(*options, "--api-key", "given"))
    first, second = seen
    assert (first.key, first.name, first.queue.waiting, first.queue.slots) == ("from-the-variable", "nvidia", 5, 3)
    assert first.window.most == 7 and first.retired and not first.record
    assert second.key == "given", "the command line comes before the variable"


# Many readers of the bundled model at once


def test_32_readers_get_no_wrong_mixed_or_lost_answer_and_memory_stays_flat():
    with (
        serve(seats=16, waiting=32) as server,
        OpenAI(base_url=server.url, api_key="any", max_retries=0) as client,
        ThreadPoolExecutor(32) as readers,
    ):
        child = psutil.Process(server._process.pid)

        def ask(question: str) -> str:
            messages = [{"role": "user", "content": question}]
            stream = client.chat.completions.create(model=server.model, messages=messages, max_tokens=6, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

        alone, sizes = [ask(one) for one in QUESTIONS], []
        assert len(set(alone)) > 4, "questions whose answers can be told apart"
        for _ in range(2):
            assert list(readers.map(ask, QUESTIONS * 4)) == alone * 4, "who else asks changes no answer"
            sizes.append(child.memory_info().rss)
        assert sizes[1] < 1.15 * sizes[0], sizes
        assert 'slmlab:num_requests_running{model_name="smollm2-135m"} 0.0' in server.read("/metrics")

"""serving/process: the server in a process of its own. It starts, says what is wrong, stops, and is never left over."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import requests
from openai import AuthenticationError, OpenAI

from endpoint import start as process
from endpoint.start import running, serve
from slmlab.connecting import connect
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
        started = serve(str(tiny_onnx_folder), key=PLANTED, seats=4)
    with started as server:
        yield server


@ONE_FAMILY
def test_it_answers_under_its_url_to_its_key(tiny_server):
    with OpenAI(base_url=tiny_server.url, api_key=tiny_server.key.get_secret_value(), max_retries=0) as client:
        (model,) = client.models.list()
        assert client.chat.completions.create(model=model.id, messages=HELLO, max_tokens=3).choices
    with OpenAI(base_url=tiny_server.url, api_key="wrong", max_retries=0) as client, pytest.raises(AuthenticationError):
        client.models.list()
    assert tiny_server.is_running and tiny_server in running()


@ONE_FAMILY
def test_the_first_line_of_the_log_says_who_answers(tiny_server):
    requests.get(tiny_server.root + "/health", timeout=10)
    until(lambda: "/health" in tiny_server.log())
    first, second, *rest = tiny_server.log(100).splitlines()
    assert first.startswith("Answers come from") and first.endswith("the protocol is OpenAI's.")
    assert second == f"Listening at {tiny_server.url}"
    assert any("GET /health 200" in line for line in rest)
    assert tiny_server.log(1) == rest[-1]


@ONE_FAMILY
def test_no_key_is_in_an_argument_a_log_or_a_page(tiny_server):
    child = psutil.Process(tiny_server._process.pid)
    assert not [one for one in child.cmdline() if "planted" in one], "arguments are there for all to read"
    for path in ("/", "/metrics", "/v1/models", "/nothing"):
        for headers in ({}, {"Authorization": f"Bearer {PLANTED}"}):
            answer = requests.get(tiny_server.root + path, headers=headers, timeout=10)
            assert "planted" not in answer.text + str(answer.headers)
    assert "planted" not in tiny_server.log(1000)
    assert "planted" not in f"{tiny_server!r} {vars(tiny_server)!r}"


@ONE_FAMILY
def test_stopping_ends_the_child_and_frees_its_port(tiny_onnx_folder):
    with serve(str(tiny_onnx_folder), profile="ollama", seats=2) as server:
        assert requests.get(server.root, timeout=10).text.startswith("Ollama is running\nAnswers come from ")
        pid, port = server._process.pid, int(server.root.rsplit(":", 1)[1])
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5, "one that answers nothing stops at once"
        assert is_gone(pid) and not server.is_running and server not in running()
        assert repr(server).endswith("stopped)")
        server.stop()  # twice is once
    socket.create_server(("127.0.0.1", port)).close()


@ONE_FAMILY
def test_an_answer_that_streams_may_finish_when_the_server_stops(tiny_onnx_folder):
    with serve(str(tiny_onnx_folder), seats=2) as server:
        body = {"messages": HELLO, "stream": True, "max_tokens": 60, "temperature": 1, "seed": 1}
        with requests.post(server.url + "/chat/completions", json=body, stream=True, timeout=10) as answer:
            lines = answer.iter_lines()
            next(lines)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            assert [one for one in lines if one][-1] == b"data: [DONE]"
        stopper.join(10)
        assert not server.is_running


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@ONE_FAMILY
def test_no_orphan_is_left_when_the_starter_is_killed(tiny_onnx_folder):
    program = (
        "import sys, time; from endpoint.start import serve; "
        "s = serve(sys.argv[1], seats=2); print(s._process.pid, s.root, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(process.__file__).resolve().parents[2])}
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(tiny_onnx_folder)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        pid, root = starter.stdout.readline().split()
        assert requests.get(root + "/health", timeout=10).ok and not is_gone(int(pid))
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
        starter.stdout.close()
    until(lambda: is_gone(int(pid)), most_s=10, step_s=0.05)


def test_a_port_in_use_is_said_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SlmLabError, match=f"Can't listen at 127.0.0.1 port {port}.*--port 0 finds one"):
            serve("smollm2-135m", port=port)
    assert not [one for one in running() if str(port) in one.root]


def test_listening_for_the_network_without_a_key_is_refused():
    with pytest.raises(SlmLabError, match="Give a key"):
        serve(host="0.0.0.0")


def test_an_unknown_model_is_said_with_those_that_are():
    with pytest.raises(SlmLabError, match="Unknown model 'smolm'.*smollm2-135m"):
        serve("smolm")


def test_an_unknown_profile_is_refused_without_a_process():
    before = len(psutil.Process().children())
    with pytest.raises(BadRequest, match="Unknown profile 'nvidea'.*nvidia"):
        serve(profile="nvidea")
    assert len(psutil.Process().children()) == before


def test_the_command_explains_itself():
    command = [sys.executable, "-m", "slmlab", "serve", "--help"]
    root = Path(process.__file__).resolve().parents[2]
    found = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60)
    assert found.returncode == 0
    for option in ("--host", "--port", "--api-key", "--model", "--profile", "--seats", "--waiting", "--retired"):
        assert option in found.stdout
    assert "--until-input-ends" not in found.stdout


# Many readers of the bundled model at once


@pytest.fixture(scope="module")
def bundled_server():
    with serve(seats=16, waiting=32) as server:
        yield server


def ask(client: OpenAI, question: str, stream: bool) -> str:
    answer = client.chat.completions.create(
        model="smollm2-135m", messages=[{"role": "user", "content": question}], max_tokens=6, stream=stream
    )
    if not stream:
        return answer.choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


def test_32_readers_get_no_wrong_mixed_or_lost_answer_and_memory_stays_flat(bundled_server):
    child = psutil.Process(bundled_server._process.pid)
    with OpenAI(base_url=bundled_server.url, api_key="any", max_retries=0, timeout=60) as client:
        alone = {question: ask(client, question, stream=False) for question in QUESTIONS}
        assert len(set(alone.values())) > 4, "questions whose answers can be told apart"
        sizes = []
        for _ in range(2):
            found = [None] * 32

            def work(number, found=found):
                found[number] = ask(client, QUESTIONS[number % 8], stream=number % 2 == 0)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert found == [alone[QUESTIONS[number % 8]] for number in range(32)]
            sizes.append(child.memory_info().rss)
    assert sizes[1] < 1.15 * sizes[0], sizes
    text = requests.get(bundled_server.root + "/metrics", timeout=10).text
    assert 'slmlab:num_requests_running{model_name="smollm2-135m"} 0.0' in text
    assert "slmlab:request_refused_total{" not in text


def test_the_bundled_model_makes_sense_through_the_server(bundled_server):
    with OpenAI(base_url=bundled_server.url, api_key="any", max_retries=0) as client:
        question = [{"role": "user", "content": "What is the capital of France?"}]
        answer = client.chat.completions.create(model="smollm2-135m", messages=question, max_tokens=12)
        assert "Paris" in answer.choices[0].message.content


@pytest.mark.parametrize("key", ["", "  ", "a b", "ключ", "a\nb"])
def test_a_key_that_no_client_can_send_is_refused_before_a_process_starts(key):
    before = running()
    with pytest.raises(BadRequest, match="key"):
        serve("smollm2-135m", key=key)
    assert running() == before


@ONE_FAMILY
def test_blanks_around_a_key_are_none_of_it_and_a_server_for_all_is_reached_from_here(tiny_onnx_folder):
    with serve(str(tiny_onnx_folder), key=" planted-key ", host="0.0.0.0", seats=2) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with connect(server) as model:
            assert model.ask("Hello", max_tokens=4).text is not None
        assert "The whole network may ask" in server.log()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@ONE_FAMILY
def test_a_copy_of_the_starter_holds_no_server_up(tiny_onnx_folder):
    """A fork inherits the other end of the server's input: closing ours alone would not end it."""
    program = (
        "import os, sys, time; from endpoint.start import serve; s = serve(sys.argv[1], seats=2)\n"
        "if not os.fork(): time.sleep(60); os._exit(0)\n"
        "print(s._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(process.__file__).resolve().parents[2])}
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(tiny_onnx_folder)], stdout=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        pid = int(starter.stdout.readline())
        starter.wait(10)
        until(lambda: is_gone(pid), most_s=10, step_s=0.05)
    finally:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@ONE_FAMILY
def test_an_interrupt_ends_the_server_in_order(tiny_onnx_folder):
    with serve(str(tiny_onnx_folder), seats=1) as server:
        os.kill(server._process.pid, signal.SIGINT)
        until(lambda: not server.is_running)
        assert server._process.returncode in (0, 130, -signal.SIGINT), server.log(100)
        assert "Traceback" not in server.log(1000) and "Fatal" not in server.log(1000)

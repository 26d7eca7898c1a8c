"""serving/app: the door of the server. Who may ask, what is no path, where it listens, what its log says."""

import re
import socket
import threading
import time

import pytest
import requests
import uvicorn

from endpoint import app
from endpoint.app import Log, build, listen
from endpoint.practice import PROFILES
from endpoint.queue import Desk
from endpoint.recorder import PATH
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import HELLO, ScriptedEngine, live, until


@pytest.fixture(scope="module", params=PROFILES)
def server(request):
    with live(ScriptedEngine("Hi"), request.param) as served:
        yield served


def in_own_shape(server, answer, status: int):
    """Whether a refusal has the body of its profile's service."""
    assert answer.status_code == status
    body = answer.json()
    if server.profile.name == "nvidia":
        assert body["status"] == status and body["title"] and body["detail"]
    elif server.profile.name == "ollama":
        assert set(body) == {"error"} and isinstance(body["error"], str)
    else:
        assert body["error"]["message"] and body["error"]["code"]


def test_an_unknown_path_is_404_in_the_profiles_own_shape(server):
    in_own_shape(server, server.get("/v2/nothing"), 404)
    in_own_shape(server, server.post("/v2/nothing"), 404)


def test_a_wrong_method_is_405_and_says_the_right_one(server):
    answer = server.get(server.profile.chat_paths[0])
    in_own_shape(server, answer, 405)
    assert answer.headers["allow"] == "POST"


def test_head_is_answered_without_a_body(server):
    answer = requests.head(server.root + "/health", timeout=10)
    assert answer.status_code == 200 and answer.content == b""
    missing = requests.head(server.root + "/nothing", timeout=10)
    assert missing.status_code == 404 and missing.content == b""


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1.example.org", "http://[::bad"])
def test_a_page_of_another_site_may_not_ask(server, origin):
    answer = server.chat(headers=server.headers | {"Origin": origin})
    in_own_shape(server, answer, 403)


def test_a_name_that_points_at_this_machine_is_another_site(server):
    headers = server.headers | {"Host": "evil.example:80", "Origin": "http://evil.example:80"}
    in_own_shape(server, server.chat(headers=headers), 403)


def test_a_page_of_this_machine_may_ask(server):
    for origin in ("http://localhost:8888", f"http://127.0.0.1:{server.port}", "http://[::1]:3000"):
        assert server.chat(headers=server.headers | {"Origin": origin}).status_code == 200


def test_with_a_key_the_key_decides():
    with live(ScriptedEngine("Hi"), key="sesame") as server:
        headers = {"Origin": "https://example.org", "Authorization": "Bearer sesame"}
        assert server.chat(headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5"])
def test_listening_beyond_this_machine_demands_a_key(host):
    with pytest.raises(BadRequest, match="Give a key"):
        listen(host, 0, None)


def test_with_a_key_it_listens_anywhere():
    with listen("0.0.0.0", 0, "sesame") as found:
        assert found.getsockname()[1] > 0


@pytest.mark.parametrize("key", ["", "  ", "ключ", "a\nb"])
def test_a_key_that_no_header_carries_is_refused(key):
    with pytest.raises(BadRequest, match="key"):
        listen("127.0.0.1", 0, key)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(BadRequest, match="out of range"):
        listen("127.0.0.1", port, None)


def test_a_port_in_use_says_how_to_find_another():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SlmLabError, match="--port 0 finds one"):
        listen("127.0.0.1", taken.getsockname()[1], None)


def test_an_unknown_host_is_said_plainly():
    with pytest.raises(SlmLabError, match="Can't listen at"):
        listen("no..such..host", 0, "sesame")


def test_the_log_has_a_line_for_each_request_and_no_content(capfd):
    with live(ScriptedEngine("Answer"), log=Log(), key="planted-key") as server:
        server.chat(headers={"Authorization": "Bearer planted-key"})
        server.chat(headers={"Authorization": "Bearer planted-wrong"})
        requests.get(server.root + "/%0aListening%20at%20http://evil", timeout=10)
        requests.get(server.root + "/health?api-key=planted-query", timeout=10)
        written, patience = "", time.monotonic() + 10  # a line is written when its answer is out, a moment after
        while len(written.splitlines()) < 4 and time.monotonic() < patience:
            time.sleep(0.05)
            written += capfd.readouterr().out
    lines = written.splitlines()
    assert [line.split()[1:4] for line in lines] == [
        ["POST", "/v1/chat/completions", "200"], ["POST", "/v1/chat/completions", "401"],
        ["GET", "/?Listening", "at"], ["GET", "/health", "200"],
    ]  # fmt: skip
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines), "a path is no way to write a line of one's own"
    assert "planted" not in " ".join(lines) and "Hello" not in " ".join(lines) and "Answer" not in " ".join(lines)


def test_the_last_exchange_is_kept_without_its_key_where_that_is_asked_for():
    with live(ScriptedEngine("Answer"), "foundry", record=True) as server:
        assert server.get(PATH).json() == {}
        server.chat(headers={"Authorization": "Bearer planted-a", "api-key": "planted-b"})
        found = server.get(PATH).json()
        assert found["status"] == 200 and "Answer" in found["answer"] and "Hello" in found["body"]
        assert found["headers"]["authorization"] == "Bearer (your key)" and found["headers"]["api-key"] == "(your key)"
        assert "planted" not in server.get(PATH).text
        assert server.get(PATH).json() == found, "looking doesn't change it"


def test_no_exchange_is_kept_unasked(server):
    server.chat()
    assert server.get(PATH).status_code == 404


PLANTED = ("planted-bearer", "planted-header", "nvapi-planted", "github_pat_planted")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_key_is_in_no_answer_no_log_no_page_and_no_figure(profile, capfd, caplog):
    texts = []
    with live(ScriptedEngine("Hi"), profile, key="planted-server", log=Log()) as server:
        for one in PLANTED:
            for headers in ({"Authorization": f"Bearer {one}"}, {"api-key": one}, {"Authorization": one}):
                for body in ({"model": server.model, "messages": HELLO}, {"model": "wrong"}, {"messages": [5]}):
                    texts.append(server.post(headers=headers, **body))
                texts.append(requests.get(server.root + "/v1/models", headers=headers, timeout=10))
        right = {"Authorization": "Bearer planted-server", "api-key": "planted-server"}
        texts += [server.chat(headers=right), server.chat(headers=right, stream=True), server.post("/", headers=right)]
        texts += [server.get(path) for path in ("/", "/health", server.profile.metrics_path)]
        shown = f"{server.profile!r} {server.desk!r}"
    told = capfd.readouterr()
    everything = [f"{one.headers} {one.text}" for one in texts] + [shown, told.out, told.err, caplog.text]
    assert not [one for one in everything if "planted" in one]
    assert any(one.status_code == 200 for one in texts) and any(one.status_code == 401 for one in texts)


def test_who_is_cut_off_by_a_stop_is_told_so(monkeypatch):
    """Answers may finish for a while; then a stream ends with an error event, and what waits gets a 503."""
    monkeypatch.setattr(app, "STOP_S", 1.5)
    monkeypatch.setattr(app, "TELL_S", 1.0)
    profile = PROFILES["local"](Desk(ScriptedEngine(*["word"] * 600, pace_s=0.02)))
    listening = listen("127.0.0.1", 0, None)
    root = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(build(profile), log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = app.Server(config, profile.desk)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    waits = []
    body = {"messages": HELLO, "max_tokens": 600}
    with requests.post(f"{root}/v1/chat/completions", json=body | {"stream": True}, stream=True, timeout=20) as answer:
        lines = answer.iter_lines()
        next(lines)
        second = threading.Thread(
            target=lambda: waits.append(requests.post(f"{root}/v1/chat/completions", json=body, timeout=20))
        )
        second.start()
        until(lambda: profile.desk.queued == 1)
        server.should_exit = True
        last = [line for line in lines if line][-1]
    assert b"server_stopping" in last
    second.join(10)
    assert waits[0].status_code == 503 and waits[0].json()["error"]["code"] == "server_stopping"
    thread.join(10)
    assert not thread.is_alive()
    profile.desk.close()

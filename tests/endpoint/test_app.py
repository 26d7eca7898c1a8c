"""The door of the server: who may ask, what is no path, where it listens, what its log and its page say."""

import re
import socket
import time

import pytest
import requests

from endpoint.app import PROFILES, listen
from endpoint.recorder import PATH
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import HELLO, ScriptedEngine, live


@pytest.fixture(scope="module", params=PROFILES)
def server(request):
    with live(ScriptedEngine("Hi"), request.param, per_minute=100) as served:
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


def test_what_is_no_path_or_no_method_is_refused_in_the_profiles_own_shape(server):
    in_own_shape(server, server.get("/v2/nothing"), 404)
    answer = server.get(server.profile.chat_paths[0])
    in_own_shape(server, answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_page_of_another_site_may_not_ask(server):
    for origin in ("https://example.org", "null", "http://127.0.0.1.example.org", "http://[::bad"):
        in_own_shape(server, server.chat(headers=server.headers | {"Origin": origin}), 403)
    named = {"Host": "evil.example:80", "Origin": "http://evil.example:80"}  # a name that points at this machine
    in_own_shape(server, server.chat(headers=server.headers | named), 403)
    for origin in ("http://localhost:8888", server.root, "http://[::1]:3000"):
        assert server.chat(headers=server.headers | {"Origin": origin}).status_code == 200, "one of this machine may"


def test_the_page_says_who_answers_and_no_exchange_is_kept_unasked(server):
    text = requests.get(server.root, timeout=10).text
    assert server.profile.introduction in text and "smollm2-135m (int8), running on this machine" in text
    assert ("is imitated" in text) == (server.profile.name != "local")
    if server.profile.name == "ollama":
        assert text.startswith("Ollama is running\n"), "its clients look for this"
    server.chat()
    assert server.get(PATH).status_code == 404


def test_a_place_that_cannot_be_listened_at_is_said_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("127.0.0.1", 70_000), ("no.such.host.invalid", 0)):
            with pytest.raises(SlmLabError, match=f"Can't listen at {host} port {port}.*--port 0 finds one"):
                listen(host, port, has_key=True)
    for host in ("0.0.0.0", "::", "", "192.168.1.5"):
        with pytest.raises(BadRequest, match="Give a key"):
            listen(host, 0, has_key=False)


def test_the_log_has_a_line_for_each_request_and_no_content(capfd):
    with live(ScriptedEngine("Answer"), log=True, key="planted-key") as server:
        server.chat(headers={"Authorization": "Bearer planted-key"})
        server.chat(headers={"Authorization": "Bearer planted-wrong"})
        requests.get(server.root + "/%0AListening%20at%20http://evil", timeout=10)
        requests.get(server.root + "/health?api-key=planted-query", timeout=10)
        written, patience = "", time.monotonic() + 10  # a line is written when its answer is out, a moment after
        while len(written.splitlines()) < 4 and time.monotonic() < patience:
            time.sleep(0.05)
            written += capfd.readouterr().out
    lines = written.splitlines()
    assert [line.split()[1:4] for line in lines] == [
        ["POST", "/v1/chat/completions", "200"], ["POST", "/v1/chat/completions", "401"],
        ["GET", "/%0AListening%20at%20http://evil", "404"], ["GET", "/health", "200"],
    ], "a path is no way to write a line of one's own"  # fmt: skip
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert not [word for word in ("planted", "Hello", "Answer") if word in written]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_key_is_in_no_answer_no_log_no_page_and_no_figure(profile, capfd, caplog):
    texts = []
    with live(ScriptedEngine("Hi"), profile, key="planted-server", log=True) as server:
        for one in ("planted-bearer", "nvapi-planted", "github_pat_planted"):
            for headers in ({"Authorization": f"Bearer {one}"}, {"api-key": one}, {"Authorization": one}):
                for body in ({"model": server.model, "messages": HELLO}, {"messages": [5]}):
                    texts.append(server.post(headers=headers, **body))
        right = {"Authorization": "Bearer planted-server", "api-key": "planted-server"}
        texts += [server.chat(headers=right), server.chat(headers=right, stream=True)]
        texts += [server.get(path) for path in ("/", "/health", server.profile.metrics_path)]
        shown = f"{server.profile!r} {server.queue!r}"
    told = capfd.readouterr()
    everything = [f"{one.headers} {one.text}" for one in texts] + [shown, told.out, told.err, caplog.text]
    assert not [one for one in everything if "planted" in one]
    assert any(one.status_code == 200 for one in texts) and any(one.status_code == 401 for one in texts)

"""The door of the server: who may ask, what is no path, where it listens, what its log and its page say."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from endpoint.app import PROFILES, Patient, listen
from endpoint.recorder import PATH
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import ScriptedEngine, error_of, live

KEY = "nvapi-planted-server"


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
        answer = server.chat(headers=server.headers | {"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin, "it may read the answer too"
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-any"}
        assert requests.options(server.root + server.profile.chat_paths[0], headers=asks, timeout=10).ok


def test_a_refusal_names_what_it_saw_and_the_way_in():
    with live(ScriptedEngine(), allow_origin=["https://mine.example"]) as server:
        assert server.chat(headers={"Origin": "https://mine.example"}).ok
        for name, value, words in (
            ("Origin", "https://other.example", "--allow-origin"), ("Host", "docker.internal", "SLMLAB_SERVER_KEY"),
            ("Host", "0.0.0.0", "127.0.0.1 or localhost"), ("Host", "evil.example@127.0.0.1", "SLMLAB_SERVER_KEY"),
        ):  # fmt: skip
            said = error_of(server.chat(headers={name: value}), 403)["message"]
            assert value in said and words in said
        assert "ends with /v1" in error_of(server.post("/chat/completions"), 404)["message"]
        assert "ends with /v1" in error_of(server.get("/models"), 404)["message"]
        assert "ends with" not in error_of(server.get("/api/show"), 404)["message"], "no base would mend it"
        assert server.chat(headers={"Host": "localhost.:80"}).ok


def raw(server, data: bytes, patience_s: float = 5) -> bytes:
    with socket.create_connection(server.root.removeprefix("http://").split(":"), patience_s) as connection:
        connection.sendall(data)
        return connection.recv(1000)


def test_a_request_of_two_lengths_is_refused_and_one_that_never_comes_is_not_waited_for(monkeypatch):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    monkeypatch.setattr("endpoint.app.HEAD_S", 0.3)
    monkeypatch.setattr("endpoint.profile.BODY_S", 0.3)
    with live(ScriptedEngine(), http=Patient) as server:
        assert b"400" in raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")[:20]
        assert raw(server, head) == b"", "half a head"
        assert b"408" in raw(server, head + b"\r\n{")[:20], "half a body"
        assert server.chat().ok


@pytest.mark.parametrize("body", [
    b'{"messages": [' + b'{"role": "user", "content": ""},' * 290_000 + b"{}]}",
    b'{"messages": [{"role": "user", "content": "x"}], "x": [' + b"[]," * 3_000_000 + b"[]]}",
    b'{"messages": [{"role": "user", "content": "x"}]' + b"".join(b', "k%d": 0' % one for one in range(200_000)) + b"}",
])  # fmt: skip
def test_a_body_that_is_heavy_to_read_is_refused_and_holds_nobody_up(body):
    with live(ScriptedEngine()) as server, ThreadPoolExecutor(1) as other:
        asked = other.submit(requests.post, server.root + "/v1/chat/completions", data=body, timeout=30)
        longest = 0.0
        while not asked.done():
            began = time.perf_counter()
            assert server.get("/health").ok
            longest = max(longest, time.perf_counter() - began)
        assert asked.result().status_code in (400, 413) and asked.result().json()["error"]["message"]
        assert longest < 2, "seconds of standing still, before; the bound here is for a machine that is busy"


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
    written = capfd.readouterr().out  # a line is written when its answer is out, and all are when the server has ended
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
    with live(ScriptedEngine("Hi"), profile, key=KEY, log=True) as server:
        for one in ("planted-bearer", "nvapi-planted", "github_pat_planted"):
            for headers in ({"Authorization": f"Bearer {one}"}, {"api-key": one}, {"Authorization": one}):
                texts += [server.chat(headers=headers), server.post(headers=headers, messages=[5])]
        right = {"Authorization": f"Bearer {KEY}", "api-key": KEY}
        texts += [server.chat(headers=right), server.chat(headers=right, stream=True)]
        texts += [server.get(path) for path in ("/", "/health", server.profile.metrics_path)]
        shown = f"{server.profile!r} {server.queue!r}"
    told = capfd.readouterr()
    everything = [f"{one.headers} {one.text}" for one in texts] + [shown, told.out, told.err, caplog.text]
    assert not [one for one in everything if "planted" in one]
    assert texts[0].status_code in (401, 403) and texts[-5].status_code == texts[-4].status_code == 200

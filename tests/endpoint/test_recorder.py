"""The last request and its answer, as they were on the wire, and without a key."""

import requests

from endpoint.recorder import MOST_BYTES, PATH, Exchange
from tests.live_server import ScriptedEngine, live


def test_a_key_is_hidden_and_a_long_one_is_cut():
    headers = {"Authorization": "Bearer planted", "api-key": "planted", "Cookie": "planted", "Accept": "text",
               "User-Agent": "SDK/1 of a machine"}  # fmt: skip
    body = {"messages": [{"role": "user", "content": "a" * MOST_BYTES}], "stream": True}
    with live(ScriptedEngine("a" * 2000, "b" * 2000, "c" * 2000), record=True) as server:
        answer = server.post("/v1/chat/completions?v=1", headers, **body).text
        found = server.get(PATH).json()
    assert all(letter * 2000 in answer for letter in "abc"), "it passes unchanged"
    shown = ["authorization: Bearer (your key)", "api-key: (your key)", "content-type: application/json",
             "accept: text", "user-agent: SDK/1"]  # fmt: skip
    assert found["head"].splitlines() == ["POST /v1/chat/completions?v=1", *shown] and found["status"] == 200
    assert found["body"].startswith('{"messages": [') and len(found["body"]) == MOST_BYTES
    assert found["answer"] == answer[:MOST_BYTES]


def test_it_is_shown_as_text_with_so_many_lines_of_the_answer():
    assert str(Exchange({}, 8)) == "Nothing was asked yet."
    parts = {"head": "POST /v1/chat", "body": "{}", "status": 200, "answer": "one\n\ntwo\nthree\nfour"}
    assert str(Exchange(parts, 2)) == "POST /v1/chat\n\n{}\n\n200\none\ntwo"
    assert str(Exchange(parts, 0)) == "POST /v1/chat\n\n{}\n\n200"
    assert str(Exchange(parts, None)) == "POST /v1/chat\n{}\n200 one two three four", "three lines are enough"


def test_with_a_key_the_exchange_is_told_to_it_alone():
    with live(ScriptedEngine(), record=True, key="sesame") as server:
        for headers in ({}, {"Origin": "https://evil.example", "Host": "evil.example"}, {"api-key": "wrong"}):
            assert requests.get(server.root + PATH, headers=headers, timeout=10).status_code in (401, 404)
            assert requests.get(server.root + "/metrics", headers=headers, timeout=10).status_code == 401
        server.chat(headers={"api-key": "sesame"})
        assert "Hello" in requests.get(server.root + PATH, headers={"api-key": "sesame"}, timeout=10).text
    with live(ScriptedEngine(), record=True) as server:
        server.get("/health?api-key=planted")
        assert "planted" not in server.get(PATH).text, "nor a key in a path"

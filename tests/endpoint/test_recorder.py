"""serving/exchange: the last request and its answer, as they were on the wire, and without a key."""

import asyncio
import json

from endpoint.recorder import MOST_BYTES, PATH, Recorder


async def echo(scope, receive, send):
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.body", "body": body[3:]})


def asked(app, path="/v1", body=b"", headers=(), client=("127.0.0.1", 5), query=b"") -> bytes:
    """What an application sends for one request."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": headers,
        "client": client,
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return b"".join(sent)


def test_an_exchange_is_kept_as_it_was():
    app = Recorder(echo)
    headers = [(b"content-type", b"application/json"), (b"x-other", b"unshown")]
    assert asked(app, "/v1/chat", b"Hello", headers, query=b"api-version=1") == b"Hello", "it passes unchanged"
    assert json.loads(asked(app, PATH)) == {
        "method": "POST", "path": "/v1/chat?api-version=1", "headers": {"content-type": "application/json"},
        "body": "Hello", "status": 200, "answer": "Hello",
    }  # fmt: skip


def test_only_the_last_one_is_kept():
    app = Recorder(echo)
    asked(app, body=b"first")
    asked(app, body=b"second")
    assert json.loads(asked(app, PATH))["body"] == "second"


def test_a_key_is_hidden():
    app = Recorder(echo)
    asked(app, headers=[(b"authorization", b"Bearer planted"), (b"api-key", b"planted"), (b"cookie", b"planted")])
    told = asked(app, PATH)
    assert b"planted" not in told and json.loads(told)["headers"]["authorization"] == "Bearer (your key)"


def test_a_long_one_is_cut():
    app = Recorder(echo)
    asked(app, body=b"a" * 3 * MOST_BYTES)
    found = json.loads(asked(app, PATH))
    assert len(found["body"]) == len(found["answer"]) == MOST_BYTES


def test_another_machine_is_not_told():
    app = Recorder(echo)
    asked(app, body=b"mine", client=("192.168.1.5", 5))
    assert b"mine" not in asked(app, PATH, client=("192.168.1.5", 5))
    assert json.loads(asked(app, PATH))["path"] == PATH, "that was a request like any other"

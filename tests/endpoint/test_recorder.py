"""The last request and its answer, as they were on the wire, and without a key."""

import asyncio

from endpoint.recorder import MOST_BYTES, Exchange, Recorder


def recorded(body, headers) -> dict:
    """What is kept of one request to an application that answers with its body, in two parts."""
    scope = {"type": "http", "method": "POST", "path": "/v1/chat", "query_string": b"v=1", "headers": headers}
    sent, kept = [], Recorder()

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message.get("body", b""))

    async def exchange():
        heard, said = kept.between(scope, receive, send)
        data = (await heard())["body"]
        await said({"type": "http.response.start", "status": 200, "headers": []})
        await said({"type": "http.response.body", "body": data[:3], "more_body": True})
        await said({"type": "http.response.body", "body": data[3:]})

    asyncio.run(exchange())
    assert b"".join(sent) == body, "it passes unchanged"
    return kept.last


def test_a_key_is_hidden_and_a_long_one_is_cut():
    found = recorded(
        b"a" * 3 * MOST_BYTES,
        [(b"authorization", b"Bearer planted"), (b"api-key", b"planted"), (b"cookie", b"planted"),
         (b"user-agent", b"SDK/1 of a machine")],
    )  # fmt: skip
    shown = ["authorization: Bearer (your key)", "api-key: (your key)", "user-agent: SDK/1"]
    assert found["head"].splitlines() == ["POST /v1/chat?v=1", *shown]
    assert len(found["body"]) == len(found["answer"]) == MOST_BYTES


def test_it_is_shown_as_text_with_so_many_lines_of_the_answer():
    assert str(Exchange({}, 8)) == "Nothing was asked yet."
    parts = recorded(b"one\n\ntwo\nthree\nfour", [(b"accept", b"text")])
    head = "POST /v1/chat?v=1\naccept: text\n\none\n\ntwo\nthree\nfour\n\n200"
    assert str(Exchange(parts, 2)) == f"{head}\none\ntwo\n... and 2 more lines"
    assert str(Exchange(parts, 0)) == head

"""What only azure-ai-inference does: its path, its two headers, the bytes mended for it. Its stream: test_remote.py."""

import sys

import pytest

from slmlab.connecting import connect
from slmlab.engines.azure import mended
from slmlab.errors import BadRequest, MissingPackage
from tests.scripted_server import ScriptedServer, answer_json, stream


@pytest.fixture
def server():
    made = ScriptedServer(stream("Hello"))
    yield made
    made.close()


def test_its_version_goes_with_the_path_and_the_key_with_both_headers(server):
    assert connect(server.url, "m", sdk="azure", key="abcd").ask("Hi").text == "Hello"
    asked = server.requests[0]
    assert asked["path"] == "/v1/chat/completions?api-version=2024-05-01-preview"
    assert (asked["headers"]["authorization"], asked["headers"]["api-key"]) == ("Bearer abcd", "abcd")


def test_what_it_has_no_argument_for_goes_into_the_body(server):
    assert connect(server.url, "m", sdk="azure").ask("Hi", logprobs=True).text == "Hello"
    assert server.bodies[0]["logprobs"] is True and "stream_options" in server.bodies[0]
    assert server.requests[0]["headers"]["extra-parameters"] == "pass-through"


def test_it_completes_no_text(server):
    with pytest.raises(BadRequest, match="chats only"):
        connect(server.url, "m", sdk="azure").complete("Once")


def test_a_missing_package_says_how_to_install_it(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.ai.inference", None)
    with pytest.raises(MissingPackage, match="pip install .azure-ai-inference"):
        connect(server.url, "m", sdk="azure")


def test_the_sdk_tries_nothing_again_on_its_own_even_with_a_retry_after(server):
    server.answers = [answer_json(429, {}, **{"retry-after": "52220"})]
    model = connect(server.url, "m", sdk="azure")
    with pytest.raises(model._errors.HttpResponseError):
        model._client.complete(messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "sent", [b"data: {}\r\n\r\n", b": ping\n\ndata: {}\n\n", b"data:{}\n\n", b"event: x\ndata: {}\n\n", b"data:   {}\n"]
)
def test_bytes_are_mended_to_the_one_form_it_reads(sent):
    for size in (1, 3, 100):
        blocks = [sent[place : place + size] for place in range(0, len(sent), size)]
        assert b"".join(mended(iter(blocks), {}, 5)) == b"data: {}\n"


def test_a_line_without_an_end_was_cut_and_is_left_out():
    assert list(mended(iter([b'data: {"cho']), {}, 5)) == []

"""What only the openai SDK does: texts as they stand, and its own settings kept out. Its stream: test_remote.py."""

import sys

import pytest

from slmlab.connecting import connect
from slmlab.errors import BadRequest, NotHere, SlmLabError
from tests.scripted_server import Answer, ScriptedServer, answer_json, event, stream


@pytest.fixture
def server():
    made = ScriptedServer(stream("Hello"))
    yield made
    made.close()


def test_the_key_and_address_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert connect(server.url, "m").ask("Hi").text == "Hello"
    headers = server.requests[0]["headers"]
    assert "sk-of" not in str(headers) and "org-1" not in str(headers)
    assert server.requests[0]["path"] == "/v1/chat/completions"


def test_a_text_is_gone_on_with_as_it_stands(server):
    server.answers = [
        Answer(blocks=(event(text="one "), event(text="two"), event(finish_reason="length"), b"data: [DONE]\n\n"))
    ]
    reply = connect(server.url, "m").complete("Count:", max_tokens=2)
    assert (reply.text, reply.finish_reason) == ("one two", "length")
    assert server.requests[0]["path"] == "/v1/completions" and server.bodies[0]["prompt"] == "Count:"


@pytest.mark.parametrize("text", ["", None, 3])
def test_an_empty_text_is_refused(server, text):
    with pytest.raises(BadRequest, match="empty"):
        connect(server.url, "m").complete(text)


def test_a_missing_package_says_how_to_install_it(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(NotHere, match='pip install "openai'):
        connect(server.url, "m")


def test_the_sdk_tries_nothing_again_on_its_own(server):
    server.answers = [answer_json(500, {})]
    model = connect(server.url, "m")
    with pytest.raises(model._sdk.InternalServerError):
        model._client.chat.completions.create(model="m", messages=[])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks9://x:1"), ("HTTPS_PROXY", "http://h:port"), ("SSL_CERT_FILE", "/no.pem")],
)
def test_settings_of_the_network_that_cannot_be_used_are_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SlmLabError, match=variable):
        connect("https://far.example/v1", "m")

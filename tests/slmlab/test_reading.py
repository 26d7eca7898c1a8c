"""reading: the text at a URL, and a key that goes nowhere else."""

import pytest

from slmlab.connecting import Key, read_at, text_at
from slmlab.errors import ProviderError
from tests.scripted_server import Answer, ScriptedServer, answer_json


def test_no_key_follows_a_redirect_and_a_bad_path_is_an_error_of_ours():
    elsewhere = ScriptedServer(answer_json(200, {}))
    moved = ScriptedServer(Answer(302, (b"",), {"location": elsewhere.url, "content-length": "0"}))
    with pytest.raises(OSError, match="302"):
        text_at(moved.url, Key("planted-key"))
    assert not elsewhere.requests
    with pytest.raises(OSError):
        text_at(moved.url + "/a b")
    elsewhere.close(), moved.close()


def test_a_page_that_cannot_be_read_is_named_whole():
    with pytest.raises(ProviderError, match="http://127.0.0.1:1/v1/metrics can't be read"):
        read_at("http://127.0.0.1:1/v1", "/metrics")

"""addresses: which URLs may be asked, which may be sent a key, which are this machine."""

import pytest

from slmlab.connecting import checked_url, is_loopback, is_loopback_host
from slmlab.errors import BadRequest


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_what_this_machine_is(host, here):
    assert is_loopback_host(host) == here


@pytest.mark.parametrize(("url", "here"), [("http://127.9.9.9:1", True), ("http://[::1]:1/v1", True),
                                           ("http://localhost/", True), ("http://127.0.0.1.evil.com", False),
                                           ("https://x", False)])  # fmt: skip
def test_loopback_is_this_machine_and_no_name_that_looks_like_it(url, here):
    assert is_loopback(url) is here


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "https://far.example/v1", " https://far.example/v1/ "])
def test_a_whole_url_is_taken_without_its_last_slash(url):
    assert checked_url(url, "a key") == url.strip().rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["far.example", "ftp://far.example", "http://", "http://a b", "https://me:pw@far.example", "https://x/?key=pw"],
)
def test_what_is_no_base_url_is_refused_and_no_password_repeated(url):
    with pytest.raises(BadRequest) as caught:
        checked_url(url)
    assert "pw" not in str(caught.value)


def test_a_key_goes_in_the_clear_to_this_machine_alone():
    assert checked_url("http://127.0.0.1:1", "key") and checked_url("http://far.example", "key", plain_http=True)
    with pytest.raises(BadRequest, match="use https"):
        checked_url("http://far.example", "key")

"""advice: what happened, at whom, what to do next, and no key."""

import pytest

from slmlab.connecting import Key, provider
from slmlab.engines.remote import Fault, Place, as_error, fault_of_connection

PLACE = Place(provider("nvidia"), "https://x/v1", "m", Key("nvapi-1234"))


@pytest.mark.parametrize(("wait_s", "words"), [(90, "in 2 min"), (3600, "in 1 h 0 min"), (52220, "in 14 h 30 min")])
def test_a_long_wait_is_said_in_words(wait_s, words):
    assert words in str(as_error(Fault("x", 429, retry_after_s=wait_s), PLACE))


@pytest.mark.parametrize(
    "text",
    [r"\nsk-proj-a1", "%22sk-a1", "nvapi-1234", "Bearer abc.def", "ghp_abc", "github_pat_1_a", "sk-proj-a1", "NVAPI-9"],
)
def test_what_looks_like_a_key_is_scrubbed(text):
    shown = PLACE.scrubbed(f"wrong: {text}, sorry")
    assert "[key]" in shown and text.split()[-1] not in shown


def test_a_long_message_is_cut_after_it_was_scrubbed():
    shown = PLACE.scrubbed("x" * 395 + " nvapi-1234")
    assert "nvapi" not in shown and len(shown) < 410


def test_a_certificate_that_fails_is_not_tried_again():
    fault = fault_of_connection(OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "https://x")
    assert not fault.passing
    assert "SSL_CERT_FILE" in str(as_error(fault, PLACE))


@pytest.mark.parametrize("text", ["The disk-cache failed", "task-42 is late", "a risk-free ask"])
def test_a_word_with_the_same_letters_is_no_key(text):
    assert PLACE.scrubbed(text) == text


def test_an_address_without_a_path_is_told_of_one():
    at_root = Place(provider("local"), "http://127.0.0.1:8000", "m", None)
    assert "http://127.0.0.1:8000/v1" in str(as_error(Fault("Not Found", 404), at_root))


def test_a_retired_service_sends_nobody_for_a_new_key():
    error = as_error(Fault("Unauthorized", 401), Place(provider("github-models"), "http://127.0.0.1:1", "m", Key("k")))
    assert "models:read" in error.advice and "new one" not in error.advice and "Foundry" in error.advice


def test_gone_is_gone_and_only_a_promise_is_contradicted():
    gone = [str(as_error(Fault(words, 410), PLACE)) for words in ("temporarily unavailable", "end of life")]
    assert ["whatever the message says" in one for one in gone] == [True, False]


def test_a_proxy_is_told_where_it_is_set():
    assert "HTTPS_PROXY" in as_error(Fault("the proxy p:1 refused", connection=True, kind="proxy"), PLACE).advice


def test_what_to_do_stands_on_lines_of_its_own_when_shown(capsys):
    as_error(Fault("a reason " * 30, 410), PLACE).show()
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 96 and any(line.startswith("→ Gone for good") for line in shown)

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from slmlab.engines.faults import Fault, Place, as_error, fault_of_answer, fault_of_connection
from slmlab.providers import Key, provider

PLACE = Place(provider("nvidia"), "https://x/v1", "m", Key("nvapi-1234"))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"error": {"code": "c", "message": "m"}}', "c", "m"),
        ('{"error": {"type": "c", "message": "m"}}', "c", "m"),
        ('{"error": "m"}', None, "m"),
        ('{"detail": "m"}', None, "m"),
        ('{"status": 429, "title": "m"}', None, "m"),
        ('{"statusCode": 401, "message": "m"}', None, "m"),
        ('[{"error": {"code": 5, "message": "m"}}]', "5", "m"),
        ("m", None, "m"),
        ("", None, "no reason given"),
        ("null", None, "no reason given"),
    ],
)
def test_every_shape_of_an_error_is_read(body, code, message):
    fault = fault_of_answer(400, {}, body)
    assert (fault.code, fault.message) == (code, message)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_from_the_headers(headers, wait_s):
    assert fault_of_answer(429, headers, "").retry_after_s == wait_s


def test_a_wait_until_a_date_is_counted_from_now():
    until = datetime.now(UTC) + timedelta(seconds=30)
    assert fault_of_answer(
        429, {"retry-after": format_datetime(until, usegmt=True)}, ""
    ).retry_after_s == pytest.approx(30, abs=2)


@pytest.mark.parametrize(("wait_s", "words"), [(90, "in 2 min"), (3600, "in 1 h 0 min"), (52220, "in 14 h 30 min")])
def test_a_long_wait_is_said_in_words(wait_s, words):
    assert words in str(as_error(Fault("x", 429, retry_after_s=wait_s), PLACE))


@pytest.mark.parametrize("text", ["nvapi-1234", "Bearer abc.def", "ghp_abc", "github_pat_1_a", "sk-proj-a1", "NVAPI-9"])
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


def test_a_refusal_on_loopback_is_final_and_elsewhere_may_pass():
    assert not fault_of_connection(ConnectionRefusedError(), "http://localhost:1").passing
    assert fault_of_connection(ConnectionRefusedError(), "https://far.example").passing

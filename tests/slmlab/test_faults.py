"""faults: one record, read from answers, events and exceptions in whichever shape they come."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from slmlab.engines.remote import fault_of_answer, fault_of_chunk, fault_of_connection, fault_of_event, proxy_of


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"error": {"code": "c", "message": "m"}}', "c", "m"),
        ('{"error": {"type": "c", "message": "m"}}', "c", "m"),
        ('{"error": "m"}', None, "m"),
        ('{"error": null, "message": "m"}', None, "m"),
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


def test_a_refusal_on_loopback_is_final_and_elsewhere_may_pass():
    assert not fault_of_connection(ConnectionRefusedError(), "http://localhost:1").passing
    assert fault_of_connection(ConnectionRefusedError(), "https://far.example").passing


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -2300", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_date_that_no_calendar_has_asks_for_no_wait_that_breaks_a_sum(date):
    wait_s = fault_of_answer(429, {"retry-after": date}, "").retry_after_s
    assert wait_s is None or wait_s <= 1e8


@pytest.mark.parametrize("body", ["[" * 200_000, '{"error": {"code": "\u00b2", "message": "m"}}'])
def test_a_strange_body_is_still_a_fault(body):
    assert fault_of_answer(400, {}, body).status == 400


def test_the_status_in_an_event_is_one_or_none():
    assert fault_of_event({"code": "503", "message": "m"}).status == 503
    assert fault_of_event({"code": 500, "message": "m"}).passing
    for code in ("\u00b2", "99", "x", "5000"):
        assert fault_of_event({"code": code, "message": "m"}).status is None


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ({"error": "m"}, "m"),
        ({"object": "error", "message": "m", "code": 500}, "m"),
        ({"type": "error", "message": "m"}, "m"),
        ({"detail": "m"}, "m"),
    ],
)
def test_an_event_that_tells_a_fault_in_place_of_a_piece_is_one(chunk, message):
    assert fault_of_chunk(chunk).message == message


@pytest.mark.parametrize("chunk", [{}, {"choices": []}, {"choices": [{"delta": {}}], "detail": "x"}, {"usage": {}}])
def test_an_event_of_an_answer_is_no_fault(chunk):
    assert fault_of_chunk(chunk) is None


def test_a_proxy_that_refuses_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    assert proxy_of("https://far.example/v1") == "proxy.example:3128" and proxy_of("http://127.0.0.1:1/v1") == ""
    fault = fault_of_connection(ConnectionRefusedError(), "https://far.example/v1")
    assert fault.kind == "proxy" and "proxy.example:3128" in fault.message and not fault.passing

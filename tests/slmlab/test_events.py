"""events: every form that servers and proxies give a stream, cut anywhere."""

import json
from time import perf_counter

import pytest

from slmlab.engines import remote as module
from slmlab.engines.remote import Broken, events, read_list

FORMS = {
    "line feeds": b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n',
    "CRLF": b'data: {"a": 1}\r\n\r\ndata: {"a": 2}\r\n\r\n',
    "CR alone": b'data: {"a": 1}\r\rdata: {"a": 2}\r\r',
    "no blank line between": b'data: {"a": 1}\ndata: {"a": 2}\n',
    "no blank after the colon": b'data:{"a": 1}\n\ndata:{"a": 2}\n\n',
    "comments and other fields": b': ping\n\nevent: x\nid: 1\nretry: 3\ndata: {"a": 1}\n\n: ping\ndata: {"a": 2}\n\n',
    "a byte order mark": b'\xef\xbb\xbfdata: {"a": 1}\n\ndata: {"a": 2}\n\n',
    "an object over two lines": b'data: {"a":\ndata: 1}\n\ndata: {"a": 2}\n\n',
    "more after the end": b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\ndata: {"a": 3}\n\n',
    "cut at the end": b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: {"a": 3',
}


@pytest.mark.parametrize("sent", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_same_objects_come_out_of_every_form(sent, size):
    blocks = [sent[place : place + size] for place in range(0, len(sent), size)]
    assert list(events(iter(blocks), {}, 5)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("data", [b"data: {oops\n\n", b"data: [1]\n\n", b'data: "text"\n\n', b"data: 5\n\n"])
def test_an_event_that_is_no_object_is_refused(data):
    with pytest.raises(Broken) as caught:
        list(events(iter([data]), {}, 5))
    assert "no JSON object" in caught.value.fault.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "stopped before its end"),
        (b"<html>Sign in</html>", "page of HTML"),
        (b'{"error": {"message": "out of memory"}}', "out of memory"),
        (b'{"choices": [{"message": {"content": "Hi"}}]}', "no stream came"),
        (b"upstream not ready", "upstream not ready"),
    ],
)
def test_a_success_that_is_no_stream_says_what_came(body, words):
    with pytest.raises(Broken) as caught:
        list(events(iter([body[:5], body[5:]]), {}, 5))
    assert words in caught.value.fault.message


def test_pings_alone_do_not_keep_a_stream_alive(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    with pytest.raises(Broken) as caught:
        list(events(iter([b": ping\n\n"] * 100), {}, 5))
    assert "in time" in caught.value.fault.message and next(clock) < 20


def test_an_event_that_tells_a_fault_breaks_the_stream():
    found = events(
        iter([b'data: {"a": 1}\n\ndata: {"object": "error", "message": "CUDA OOM", "code": 500}\n\n']), {}, 5
    )
    assert next(found) == {"a": 1}
    with pytest.raises(Broken) as caught:
        next(found)
    assert caught.value.fault.message == "CUDA OOM" and caught.value.fault.passing


def test_a_long_line_in_single_bytes_costs_no_square_of_its_length():
    def seconds(size: int) -> float:
        event = b"data: " + json.dumps({"a": "x" * size}).encode() + b"\n\n"
        began = perf_counter()
        (found,) = events((event[place : place + 1] for place in range(len(event))), {}, 600)
        assert len(found["a"]) == size
        return perf_counter() - began

    short = min(seconds(50_000) for _ in range(3))
    assert min(seconds(200_000) for _ in range(3)) < 10 * short, "four times as long, and a square would be sixteen"


def test_a_list_of_models_is_read_whatever_type_it_says_to_be():
    assert read_list('{"data": []}', {"content-type": "text/plain"}) == {"data": []}
    with pytest.raises(Broken) as caught:
        read_list("<html>", {})
    assert caught.value.fault.kind == "page"

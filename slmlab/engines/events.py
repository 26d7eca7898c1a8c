"""Bytes of a stream to its events, one JSON object each: every form that servers and proxies give a stream.

Knows nothing about what the objects mean, or which SDK the bytes came through.
"""

import json
import re
from collections.abc import Iterator, Mapping
from time import perf_counter

from slmlab.engines.faults import Broken, Fault, fault_of_answer, fault_of_chunk

LINE_END = re.compile(rb"\r\n|\n|\r")
FIELDS = (b":", b"event:", b"id:", b"retry:")  # of a stream, and of no use here
MOST_STRAY = 4000
NO_JSON = "what came isn't OpenAI's protocol: an event that is no JSON object"


def events(blocks: Iterator[bytes], headers: Mapping[str, str], silence_s: float) -> Iterator[dict]:
    """The objects of a stream until [DONE]. Broken when one tells a fault, when it is no stream, or when only
    pings come for too long."""
    pending, stray, found, last = b"", b"", False, perf_counter()
    for lines in _lines(blocks):
        for line in lines:
            if line.startswith(b"data:"):
                pending += line[5:].strip()
                if pending == b"[DONE]":
                    return
                event = _parsed(pending)
                if event is not None:
                    if fault := fault_of_chunk(event):
                        raise Broken(fault)
                    yield event
                    pending, found, last = b"", True, perf_counter()
            elif pending and not line:
                raise Broken(Fault(NO_JSON))
            elif line and not line.startswith(FIELDS):
                stray = (stray + line + b"\n")[:MOST_STRAY]
        if perf_counter() - last > silence_s:
            raise Broken(Fault("no answer came in time", connection=True))
    if not found and not pending:
        raise Broken(_no_stream(stray.decode("utf-8", "replace").strip(), headers))


def read_list(text: str, headers: Mapping[str, str]) -> object:
    """What a successful answer to a list of models holds, whatever type it says to be."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        fault = fault_of_answer(200, headers, text)
        raise Broken(fault if fault.kind else Fault(f"no list of models came, but this: {fault.message}")) from None


def _parsed(data: bytes) -> dict | None:
    """The object of an event; None while it goes on in a further line."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        raise Broken(Fault(NO_JSON))
    return event


def _no_stream(text: str, headers: Mapping[str, str]) -> Fault:
    """A success that is no stream of events: nothing, a proxy's page, or an answer all at once."""
    if not text:
        return Fault("the stream stopped before its end", connection=True)
    fault = fault_of_answer(200, headers, text)
    return fault if fault.kind else Fault(f"no stream came, but this: {fault.message}")


def _lines(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The lines that each block completes, whichever way they end, and what is left after the last block."""
    rest, mark = bytearray(), b"\xef\xbb\xbf"
    for block in blocks:
        rest += block
        if b"\n" not in block and b"\r" not in block:
            yield []
            continue
        held = rest.endswith(b"\r")  # it may be half of a line end
        *whole, last = LINE_END.split(bytes(rest[:-1] if held else rest).removeprefix(mark))
        rest, mark = bytearray(last + b"\r" if held else last), b""
        yield whole
    yield LINE_END.split(bytes(rest).removeprefix(mark))

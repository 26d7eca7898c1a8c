"""records: what travels the road, and an answer that arrives while it is read."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from slmlab.errors import BadRequest
from slmlab.records import End, Metrics, Reply, Sampling, Start, Token

BEGAN = Start(0.5, prompt_tokens=10)


def stream(times=(1.0, 1.5, 2.0), closed=None, start=BEGAN):
    """A stream with known times, that notes when it is closed."""
    try:
        yield start
        for number, time_s in enumerate(times):
            yield Token(number, f"w{number} ", time_s)
        yield End(2.25, "end")
    finally:
        if closed is not None:
            closed.append(True)


def test_settings_out_of_range_are_refused_by_name():
    wrong = {
        "max_tokens": 2.5, "temperature": math.nan, "top_p": 0, "top_k": -1, "repetition_penalty": 0, "beams": 99,
        "seed": -1, "top_logprobs": 21, "stop": ("",),
    }  # fmt: skip
    for name, value in [*wrong.items(), ("temperature", "hot")]:
        with pytest.raises(BadRequest, match=name):
            Sampling(**{name: value})


def test_settings_that_contradict_each_other_are_refused_with_the_way_out():
    beams = [{"beams": 2, "temperature": 0.5}, {"beams": 2, "logprobs": True}]
    for settings, way in (*((one, "beams=1") for one in beams), ({"top_logprobs": 3}, "logprobs=True")):
        with pytest.raises(BadRequest, match=way):
            Sampling(**settings)


def test_numbers_of_numpy_become_plain_numbers_and_one_stop_text_a_tuple():
    found = Sampling(max_tokens=np.int64(5), temperature=np.float32(0.5), stop="\n")
    assert (found.max_tokens, found.temperature, found.stop) == (5, 0.5, ("\n",))
    assert type(found.max_tokens) is int and type(found.temperature) is float, "they go into JSON"


def test_nothing_runs_before_a_reply_is_read_and_reading_again_replays():
    opened, ended = [], []
    reply = Reply(lambda: opened.append(1) or stream(), "tiny", ended.append)
    assert not opened and "not read yet" in repr(reply)
    assert [str(token) for token in reply] == [str(token) for token in reply] == ["w0 ", "w1 ", "w2 "]
    assert opened == [1] and ended == [reply] and repr(reply) == "Reply('w0 w1 w2 ', end)"


def test_leaving_a_loop_early_closes_the_stream_and_keeps_the_text():
    closed = []
    reply = Reply(lambda: stream(closed=closed), "tiny")
    for _ in reply:
        break
    assert closed and reply.text == "w0 " and reply.finish_reason == "interrupted"


@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
def test_a_second_reader_waits_until_the_answer_ends_or_fails(fails):
    running, go_on = threading.Event(), threading.Event()

    def slow():
        events = list(stream())
        yield from events[:2]
        running.set()
        assert go_on.wait(10)
        if fails:
            raise ZeroDivisionError
        yield from events[2:]

    def read():
        try:
            return reply.text
        except ZeroDivisionError:
            return reply.so_far

    reply = Reply(slow, "tiny")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(read)
        assert running.wait(10)
        second = threads.submit(read)
        assert not wait((first, second), timeout=0.05).done, "a part isn't told as if it were all"
        go_on.set()
        assert first.result(10) == second.result(10) == ("w0 " if fails else "w0 w1 w2 ")


def test_an_answer_that_failed_fails_again_and_keeps_what_came():
    def failing(came):
        yield from list(stream())[:came]
        raise ZeroDivisionError

    for events, text in ((2, "w0 "), (0, "")):
        reply = Reply(lambda events=events: failing(events), "tiny")
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                reply.text  # noqa: B018
        assert reply.so_far == text and "interrupted" in repr(reply)


def test_metrics_are_pure_arithmetic_on_the_stamps():
    found = Reply(stream, "tiny").metrics
    assert found == Metrics(10, 3, ttft_s=0.5, prefill_tokens_per_s=20, decode_tokens_per_s=2, total_s=1.75)
    assert str(found).startswith("prompt_tokens 10 · new_tokens 3 · ttft_s 0.5 · ")
    reused = Start(0.5, prompt_tokens=100, reused_tokens=90)
    assert Reply(lambda: stream(start=reused), "tiny").metrics.prefill_tokens_per_s == 20, "the cache had the rest"


def test_what_is_unknown_is_none_not_zero():
    found = Reply(lambda: stream(times=(1.0,), start=Start(0.5)), "tiny").metrics
    assert found.decode_tokens_per_s is found.prompt_tokens is found.prefill_tokens_per_s is None
    all_at_once = Reply(lambda: stream(start=Start(0.5, 10, streamed=False)), "tiny").metrics
    assert all_at_once.decode_tokens_per_s is None, "a beam search gives its tokens at the end: that is no rate"
    nothing = Reply(lambda: stream(times=()), "tiny").metrics
    assert nothing.ttft_s is None and nothing.new_tokens == 0 and nothing.total_s == 1.75


def test_a_cell_that_ends_in_a_reply_shows_it_and_the_fault_that_ended_it(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    events = [Start(0.0), Token(1, "half", 1.0), End(1.0, "incomplete", fault="cut")]
    InteractiveShell.instance().display_formatter.format(Reply(lambda: (one for one in events), "far"))
    assert capsys.readouterr().out == "half\n[cut]\n"

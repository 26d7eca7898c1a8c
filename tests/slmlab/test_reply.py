"""reply: an answer that arrives while it is read, and the figures that come out of it."""

import pytest

from slmlab.records import End, Reply, Start, Token, measure


def stream(times=(1.0, 1.5, 2.0), closed=None):
    """A stream with known times, that notes when it is closed."""
    try:
        yield Start(0.5, prompt_tokens=10)
        for number, time_s in enumerate(times):
            yield Token(number, f"w{number} ", time_s)
        yield End(2.25, "end")
    finally:
        if closed is not None:
            closed.append(True)


def test_a_reply_streams_its_tokens_and_joins_them():
    reply = Reply(stream, "tiny")
    assert [str(token) for token in reply] == ["w0 ", "w1 ", "w2 "]
    assert reply.text == "w0 w1 w2 " and reply.finish_reason == "end"


def test_nothing_runs_before_a_reply_is_read():
    opened = []
    reply = Reply(lambda: opened.append(1) or stream(), "tiny")
    assert not opened and "not read yet" in repr(reply)
    assert reply.text and opened == [1]


def test_reading_again_replays_without_running_again():
    opened = []
    reply = Reply(lambda: opened.append(1) or stream(), "tiny")
    assert [token.id for token in reply] == [token.id for token in reply] == [0, 1, 2]
    assert opened == [1]


def test_leaving_a_loop_early_closes_the_stream_and_keeps_the_text():
    closed = []
    reply = Reply(lambda: stream(closed=closed), "tiny")
    for _ in reply:
        break
    assert closed and reply.text == "w0 " and reply.finish_reason == "interrupted"


def test_an_exception_in_the_reader_closes_the_stream():
    closed = []
    reply = Reply(lambda: stream(closed=closed), "tiny")
    with pytest.raises(ZeroDivisionError):
        for _ in reply:
            1 / 0  # noqa: B018
    assert closed and reply.finish_reason == "interrupted"


def test_text_inside_the_loop_is_what_has_arrived():
    reply = Reply(stream, "tiny")
    seen = [reply.text for _ in reply]
    assert seen == ["w0 ", "w0 w1 ", "w0 w1 w2 "]


def test_on_end_is_called_once_with_the_reply():
    ended = []
    reply = Reply(stream, "tiny", ended.append)
    reply.text, reply.text  # noqa: B018
    assert ended == [reply]


def test_metrics_are_pure_arithmetic_on_the_stamps():
    found = Reply(stream, "tiny").metrics
    assert found.ttft_s == 0.5 and found.prefill_tokens_per_s == 20
    assert found.decode_tokens_per_s == 2 and found.total_s == 1.75
    assert found.new_tokens == 3 and found.prompt_tokens == 10


def test_reused_tokens_do_not_count_as_prefill():
    found = measure(Start(0.0, prompt_tokens=100, reused_tokens=90), [Token(1, "a", 0.5)], End(0.5, "end"))
    assert found.prefill_tokens_per_s == 20


def test_what_is_unknown_is_none_not_zero():
    found = measure(Start(0.0), [Token(1, "a", 0.5)], None)
    assert found.decode_tokens_per_s is None and found.prompt_tokens is None and found.prefill_tokens_per_s is None
    assert measure(None, [], None).ttft_s is None


def test_an_answer_that_failed_fails_again_and_keeps_what_came():
    def failing():
        yield from list(stream())[:2]
        raise ZeroDivisionError

    reply = Reply(failing, "tiny")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            reply.text  # noqa: B018
    assert reply.so_far == "w0 " and "w0" in repr(reply)

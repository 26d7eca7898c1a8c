"""records: what travels the road, and an answer that arrives while it is read."""

import math
import threading

import numpy as np
import pytest

from slmlab.errors import BadRequest
from slmlab.records import End, Message, Reply, Sampling, Start, Token

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
        "max_tokens": 0, "temperature": 100, "top_p": 0, "top_k": -1, "repetition_penalty": 0, "beams": 99, "seed": -1,
        "top_logprobs": 21, "stop": ("",),
    }  # fmt: skip
    others = [("max_tokens", 2.5), ("temperature", math.nan), ("temperature", "hot"), ("stop", 5), ("stop", [3])]
    for name, value in [*wrong.items(), *others]:
        with pytest.raises(BadRequest, match=name):
            Sampling(**{name: value})


def test_settings_that_contradict_each_other_are_refused_with_the_way_out():
    for settings, way in (
        ({"beams": 2, "temperature": 0.5}, "beams=1"),
        ({"beams": 2, "logprobs": True}, r"\.logprobs\(answer\)"),
        ({"top_logprobs": 3}, "logprobs=True"),
    ):
        with pytest.raises(BadRequest, match=way):
            Sampling(**settings)


def test_numbers_of_numpy_become_plain_numbers():
    found = Sampling(max_tokens=np.int64(5), temperature=np.float32(0.5), seed=np.int32(3))
    assert (found.max_tokens, found.temperature, found.seed) == (5, 0.5, 3)
    assert type(found.max_tokens) is int and type(found.temperature) is float, "they go into JSON"


def test_one_stop_text_may_be_given_plainly():
    assert Sampling(stop="\n").stop == ("\n",) and Sampling(stop=["a", "b"]).stop == ("a", "b")


def test_a_message_has_a_known_role_and_text():
    with pytest.raises(BadRequest, match="system, user, assistant"):
        Message("robot", "hi")
    with pytest.raises(BadRequest, match="text"):
        Message("user", 3)


def test_a_reply_streams_its_tokens_and_joins_them():
    reply = Reply(stream, "tiny")
    assert [str(token) for token in reply] == ["w0 ", "w1 ", "w2 "]
    assert reply.text == "w0 w1 w2 " and reply.finish_reason == "end"


def test_nothing_runs_before_a_reply_is_read_and_reading_again_replays():
    opened, ended = [], []
    reply = Reply(lambda: opened.append(1) or stream(), "tiny", ended.append)
    assert not opened and "not read yet" in repr(reply)
    assert [token.id for token in reply] == [token.id for token in reply] == [0, 1, 2]
    assert opened == [1] and ended == [reply] and repr(reply) == "Reply('w0 w1 w2 ', 3 tokens, end)"


def test_leaving_a_loop_early_closes_the_stream_and_keeps_the_text():
    closed = []
    reply = Reply(lambda: stream(closed=closed), "tiny")
    for _ in reply:
        break
    assert closed and reply.text == "w0 " and reply.finish_reason == "interrupted"


def test_text_inside_the_loop_is_what_has_arrived():
    reply = Reply(stream, "tiny")
    assert [reply.text for _ in reply] == ["w0 ", "w0 w1 ", "w0 w1 w2 "]


def test_a_second_reader_goes_on_with_the_tokens_as_they_arrive():
    more, seen, first = threading.Event(), [], threading.Event()

    def slow():
        events = list(stream())
        yield from events[:2]
        assert more.wait(10)
        yield from events[2:]

    reply = Reply(slow, "tiny")
    reader = threading.Thread(target=lambda: [first.set() for _ in reply])
    follower = threading.Thread(target=lambda: seen.extend((token.text, more.is_set()) for token in reply))
    reader.start()
    assert first.wait(10)
    follower.start()
    while not seen:
        follower.join(0.01)
    more.set()
    follower.join(10)
    reader.join(10)
    assert seen == [("w0 ", False), ("w1 ", True), ("w2 ", True)], "a part isn't told as if it were all"
    assert reply.text == "w0 w1 w2 " and reply.finish_reason == "end"


def test_a_second_reader_of_an_answer_that_fails_fails_as_well():
    running, fail, failures = threading.Event(), threading.Event(), []

    def failing():
        yield from list(stream())[:2]
        running.set()
        assert fail.wait(10)
        raise ZeroDivisionError

    def read():
        with pytest.raises(ZeroDivisionError):
            reply.text  # noqa: B018
        failures.append(reply.so_far)

    reply = Reply(failing, "tiny")
    readers = [threading.Thread(target=read) for _ in range(2)]
    readers[0].start()
    assert running.wait(10)
    readers[1].start()
    fail.set()
    for reader in readers:
        reader.join(10)
    assert failures == ["w0 ", "w0 "]


def test_an_answer_that_failed_fails_again_and_keeps_what_came():
    def failing():
        yield from list(stream())[:2]
        raise ZeroDivisionError

    def closed():
        raise ZeroDivisionError

    for reply, came in ((Reply(failing, "tiny"), "w0 "), (Reply(closed, "tiny"), "")):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                reply.text  # noqa: B018
        assert reply.so_far == came and "interrupted" in repr(reply)


def test_metrics_are_pure_arithmetic_on_the_stamps():
    found = Reply(stream, "tiny").metrics
    assert (found.ttft_s, found.prefill_tokens_per_s, found.decode_tokens_per_s) == (0.5, 20, 2)
    assert (found.total_s, found.new_tokens, found.prompt_tokens) == (1.75, 3, 10)
    assert str(found).startswith("prompt_tokens 10 · new_tokens 3 · ttft_s 0.5 · ")


def test_reused_tokens_do_not_count_as_prefill():
    start = Start(0.5, prompt_tokens=100, reused_tokens=90)
    assert Reply(lambda: stream(start=start), "tiny").metrics.prefill_tokens_per_s == 20


def test_what_is_unknown_is_none_not_zero():
    found = Reply(lambda: stream(times=(1.0,), start=Start(0.5)), "tiny").metrics
    assert found.decode_tokens_per_s is found.prompt_tokens is found.prefill_tokens_per_s is None
    all_at_once = Reply(lambda: stream(start=Start(0.5, 10, streamed=False)), "tiny").metrics
    assert all_at_once.decode_tokens_per_s is None, "a beam search gives its tokens at the end: that is no rate"
    nothing = Reply(lambda: stream(times=()), "tiny").metrics
    assert nothing.ttft_s is None and nothing.new_tokens == 0 and nothing.total_s == 1.75


def test_pieces_without_ids_are_counted_by_the_server_alone():
    pieces = [Start(0.0), Token(None, "a", 1.0), Token(None, "b", 3.0)]
    told = Reply(lambda: (one for one in [*pieces, End(3.0, "end", prompt_tokens=7, new_tokens=5)]), "far")
    assert told.metrics.decode_tokens_per_s == 2 and told.metrics.prompt_tokens == 7
    untold = Reply(lambda: (one for one in [*pieces, End(3.0, "end")]), "far")
    assert untold.metrics.new_tokens is untold.metrics.decode_tokens_per_s is None and "unknown length" in repr(untold)


def test_show_prints_the_answer_as_it_comes_and_the_fault_that_ended_it(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    events = [Start(0.0), Token(1, "half", 1.0), End(1.0, "incomplete", fault="cut")]
    reply = Reply(lambda: (one for one in events), "far")
    InteractiveShell.instance().display_formatter.format(reply)
    assert capsys.readouterr().out == "half\n[cut]\n", "a cell that ends in a reply shows it"

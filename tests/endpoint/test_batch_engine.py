"""A LocalEngine for many threads, with the same answers as alone."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from endpoint.batch.engine import BatchedEngine
from slmlab.catalog import card_of_folder
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import until

TEXTS = ["abc", "xyz", "12345", "hello world", "a" * 140, "b", "Once upon", "é"]
SETTINGS = [{}, {"temperature": 0.9, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.2, "seed": 4},
            {"logprobs": True, "top_logprobs": 3}]  # fmt: skip
RULES = "Answer in one word, and stay polite whatever comes. " * 3


def batched(folder, seats: int = 4, precision: str = "fp32") -> BatchedEngine:
    return BatchedEngine(card_of_folder(folder), folder, precision, seats=seats)


def written(engine, text: str, **settings) -> list:
    return [(one.id, one.text, one.logprob, one.top) for one in engine.complete(text, max_tokens=25, **settings)]


def at_the_same_time(work, texts) -> dict:
    """What work(text) gives for each, all of them in threads at once."""
    with ThreadPoolExecutor(len(texts)) as threads:
        return dict(zip(texts, threads.map(work, texts), strict=True))


def test_more_threads_than_slots_each_get_their_own_answer_to_the_bit(tiny_batched):
    for settings in SETTINGS:
        work = partial(written, tiny_batched, **settings)
        assert at_the_same_time(work, TEXTS) == {text: work(text) for text in TEXTS}


def test_the_bundled_model_is_the_same_to_the_bit_whoever_else_asks(bundled):
    """On every CPU: where its kernel takes another way for a lone row, that row has a neighbour (see test_batch_model).
    Without it, 5 of 12 answers of 60 tokens had other words on an AMD EPYC with AVX2, alone and beside others."""
    questions = ["What is rain?", "Why?", "Write a long poem about the sea, the wind and a small boat."]
    with batched(bundled.folder, precision=bundled.precision) as engine:

        def ask(question):
            return [(one.id, one.logprob) for one in engine.ask(question, max_tokens=6, logprobs=True)]

        alone = {one: ask(one) for one in questions}
        assert len(set(map(str, alone.values()))) == 3, "answers that can be told apart"
        assert at_the_same_time(ask, questions) == alone


def test_who_begins_as_another_did_has_that_part_read_already(tiny_onnx_folder):
    """To the last bit: a block is read the same whatever follows it."""
    first, second = RULES + "What is rain?", RULES + "And what is snow?"
    with batched(tiny_onnx_folder) as fresh:
        alone = written(fresh, second)
    with batched(tiny_onnx_folder) as engine:
        written(engine, first)
        for _ in range(2):
            reply = engine.complete(second, max_tokens=25)
            assert [(one.id, one.text, one.logprob, one.top) for one in reply] == alone
            assert reply.start.reused_tokens == 128 < reply.start.prompt_tokens
        other = engine.complete("Something else. " * 12, max_tokens=2)
        assert other.text is not None and other.start.reused_tokens == 0


def test_a_slot_is_free_after_every_kind_of_end(tiny_batched):
    for _ in range(10):
        for _ in tiny_batched.complete("abc", max_tokens=50):
            break  # left early
    assert tiny_batched.ask("Hello", max_tokens=3).text is not None

    def fail(ids, logits):
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        tiny_batched.complete("abc", scorer=fail).show()
    until(lambda: not tiny_batched._scheduler._holders)


def test_a_thread_that_holds_every_slot_is_told_so_and_not_left_waiting(tiny_batched):
    begun = [iter(tiny_batched.complete("Once", max_tokens=20)) for _ in range(4)]
    for one in begun:
        next(one)
    with pytest.raises(BadRequest, match="This thread has begun 4 answers"):
        tiny_batched.complete("abc", max_tokens=1).show()
    begun[0].close()
    assert tiny_batched.complete("abc", max_tokens=1).tokens


def test_a_model_that_is_dropped_goes_and_its_thread_with_it(tiny_onnx_folder):
    """Each load with seats in a cell that was run again once cost 200 MB that never came back."""
    engine = batched(tiny_onnx_folder)
    engine.complete("abc", max_tokens=2).show()
    model = weakref.ref(engine._scheduler._model)
    del engine
    until(lambda: gc.collect() is not None and model() is None)


def test_an_answer_that_nobody_waits_for_ends(tiny_batched):
    cancelled = threading.Event()
    with tiny_batched.until(cancelled):
        tokens = iter(tiny_batched.complete("Once", max_tokens=100, temperature=1.0, seed=1))
        next(tokens)
        cancelled.set()
        with pytest.raises(SlmLabError, match="Nobody waits"):
            list(tokens)
    assert tiny_batched.complete("Once", max_tokens=3).tokens, "the next one of this thread is wanted again"

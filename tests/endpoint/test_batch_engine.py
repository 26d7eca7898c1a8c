"""engines/batched: a LocalEngine for many threads, with the same answers as alone."""

import threading

import pytest

from endpoint.batch.engine import BatchedEngine
from slmlab.errors import BadRequest, SlmLabError
from slmlab.loading import load
from tests.live_server import until

TEXTS = ["abc", "xyz", "12345", "hello world", "a" * 140, "b", "Once upon", "é"]
SETTINGS = [{}, {"temperature": 0.9, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.2, "seed": 4},
            {"logprobs": True, "top_logprobs": 3}]  # fmt: skip


def written(engine, text: str, **settings) -> list:
    return [(one.id, one.text, one.logprob, one.top) for one in engine.complete(text, max_tokens=25, **settings)]


@pytest.mark.parametrize("settings", SETTINGS, ids=["greedy", "sampled", "logprobs"])
def test_it_writes_what_the_onnx_engine_writes(tiny_batched, tiny_onnx, settings):
    for text in TEXTS[:4]:
        ours, theirs = written(tiny_batched, text, **settings), written(tiny_onnx, text, **settings)
        assert [one[:2] for one in ours] == [one[:2] for one in theirs]
        assert [one[2] for one in ours] == pytest.approx([one[2] for one in theirs], abs=1e-4)


@pytest.mark.parametrize("settings", SETTINGS, ids=["greedy", "sampled", "logprobs"])
def test_more_threads_than_seats_each_get_their_own_answer_to_the_bit(tiny_batched, settings):
    alone = {text: written(tiny_batched, text, **settings) for text in TEXTS}
    found = {}

    def work(text):
        found[text] = [written(tiny_batched, text, **settings) for _ in range(2)]

    threads = [threading.Thread(target=work, args=(text,)) for text in TEXTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {text: [alone[text]] * 2 for text in TEXTS}


RULES = "Answer in one word, and stay polite whatever comes. " * 3


def test_who_begins_as_another_did_has_that_part_read_already(tiny_batched, tiny_onnx_folder):
    """To the last bit: a block is read the same whatever follows it."""
    first, second = RULES + "What is rain?", RULES + "And what is snow?"
    with load(tiny_onnx_folder, seats=4) as fresh:
        alone = written(fresh, second)
    with load(tiny_onnx_folder, seats=4) as engine:
        written(engine, first)
        reply = engine.complete(second, max_tokens=25)
        assert [(one.id, one.text, one.logprob, one.top) for one in reply] == alone
        assert reply.start.reused_tokens == 128 < reply.start.prompt_tokens
        again = engine.complete(second, max_tokens=25)
        assert [one.id for one in again] == [one[0] for one in alone] and again.start.reused_tokens == 128
        other = engine.complete("Something else. " * 12, max_tokens=2)
        assert other.text is not None and other.start.reused_tokens == 0


def test_askers_that_begin_alike_at_the_same_time_get_their_own_answers(tiny_onnx_folder):
    texts = [f"{RULES} Question {number}" for number in range(6)]
    with load(tiny_onnx_folder, seats=4) as engine:
        alone, found = {text: written(engine, text) for text in texts}, {}
        threads = [
            threading.Thread(target=lambda text=text: found.update({text: written(engine, text)})) for text in texts * 3
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == alone
        until(lambda: free_seats(engine) == 4)


def free_seats(engine) -> int:
    return len(engine._scheduler._free)


def test_leaving_early_frees_the_seat(tiny_batched):
    for _ in range(10):
        for _ in tiny_batched.complete("abc", max_tokens=50):
            break
    until(lambda: free_seats(tiny_batched) == 4)


def test_a_seat_is_free_after_every_kind_of_question(tiny_batched):
    tiny_batched.next_token_probabilities("abc")
    tiny_batched.logprobs("abc")
    tiny_batched.top1("abc")
    assert tiny_batched.ask("Hello", max_tokens=3).text is not None

    def fail(ids, logits):
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        tiny_batched.complete("abc", scorer=fail).show()
    assert free_seats(tiny_batched) == 4


def test_questions_beside_an_answer_find_what_the_onnx_engine_finds(tiny_batched, tiny_onnx):
    ours, theirs = (dict((one.id, one.probability) for one in engine.next_token_probabilities("The sky", top=20))
                    for engine in (tiny_batched, tiny_onnx))  # fmt: skip
    assert ours == pytest.approx(theirs, abs=1e-4)
    found = [[value for _, value in engine.logprobs("Hello there")] for engine in (tiny_batched, tiny_onnx)]
    assert found[0][0] is None and found[0][1:] == pytest.approx(found[1][1:], abs=1e-3)


def test_a_fifth_reader_waits_for_a_seat(tiny_batched):
    streams = [iter(tiny_batched.complete("abc", max_tokens=50)) for _ in range(4)]
    for stream in streams:
        next(stream)
    found = []
    fifth = threading.Thread(target=lambda: found.append(written(tiny_batched, "xyz")))
    fifth.start()
    fifth.join(0.1)
    assert not found, "all seats are taken"
    streams.pop().close()
    fifth.join(10)
    assert found
    for stream in streams:
        stream.close()
    until(lambda: free_seats(tiny_batched) == 4)


def test_beams_are_refused(tiny_batched):
    with pytest.raises(BadRequest, match="beams=1"):
        tiny_batched.complete("abc", beams=3).show()
    assert free_seats(tiny_batched) == 4


def test_closing_in_the_middle_ends_every_answer(tiny_batched, tiny_onnx_folder):
    engine = BatchedEngine(tiny_batched.card, tiny_onnx_folder, "fp32", seats=2, threads=1)
    faults, begun = [], threading.Semaphore(0)

    def never_end(ids, logits):
        logits[list(engine.format.end_ids)] = -1e9
        return logits

    def work():
        try:
            for _ in engine.complete("abc", max_tokens=250, scorer=never_end):
                begun.release()
        except SlmLabError as fault:
            faults.append(str(fault))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.acquire(timeout=10)
    engine.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(faults) == 3 and all("was closed" in one for one in faults)


def test_load_gives_seats_where_they_are_asked_for(tiny_onnx_folder):
    import slmlab

    with slmlab.load(tiny_onnx_folder, seats=3) as engine:
        assert isinstance(engine, BatchedEngine) and engine.seats == 3 and engine.context == 256
    with slmlab.load(tiny_onnx_folder) as engine:
        assert not isinstance(engine, BatchedEngine) and engine.seats == 1
    for seats in (0, 65, 1.5, True):
        with pytest.raises(BadRequest, match="seats"):
            slmlab.load(tiny_onnx_folder, seats=seats)


def test_the_bundled_model_is_the_same_to_the_bit():
    import slmlab

    questions = ["What is rain?", "Why?", "Write a long poem about the sea, the wind and a small boat."]
    with slmlab.load(seats=4) as engine:

        def ask(question):
            return [(one.id, one.logprob) for one in engine.ask(question, max_tokens=6, logprobs=True)]

        alone, found = [ask(one) for one in questions], {}
        threads = [threading.Thread(target=lambda one=one: found.update({one: ask(one)})) for one in questions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert [found[one] for one in questions] == alone, "the kernel scales each row for itself"


def test_an_answer_that_outgrows_the_shared_table_is_the_same(tiny_onnx_folder, tiny_onnx, monkeypatch):
    from endpoint.batch import scheduler as batching

    monkeypatch.setattr(batching, "LONGEST_SHARED", 32)
    engine = load(str(tiny_onnx_folder), seats=2)
    try:
        for settings in ({}, {"temperature": 1.0, "seed": 3}):
            asked = {"max_tokens": 100, **settings}
            found = [t.id for t in engine.complete("Once upon a time", **asked).tokens]
            assert found == [t.id for t in tiny_onnx.complete("Once upon a time", **asked).tokens] and len(found) > 40
    finally:
        engine.close()


def test_an_answer_that_nobody_waits_for_ends(tiny_batched):
    gone = threading.Event()
    with tiny_batched.until(gone):
        reply = tiny_batched.complete("Once", max_tokens=100, temperature=1.0, seed=1)
        tokens = iter(reply)
        next(tokens)
        gone.set()
        with pytest.raises(SlmLabError, match="Nobody waits"):
            list(tokens)
    assert tiny_batched.complete("Once", max_tokens=3).tokens, "the next one of this thread is wanted again"

"""Many texts in one run of a model, each read as if it were alone."""

import threading
import time

import numpy as np
import pytest

from endpoint.batch import scheduler as scheduling
from endpoint.batch.scheduler import BLOCK, Scheduler
from slmlab.errors import SlmLabError
from tests.live_server import until

TEXTS = [[int(one) for one in np.random.default_rng(seed).integers(0, 256, size)] for seed, size in
         enumerate((1, 5, 40, 129, 200))]  # fmt: skip


@pytest.fixture
def scheduler(tiny_onnx_folder):
    made = Scheduler(tiny_onnx_folder, slots=5, threads=1)
    yield made
    made.close()


def walk(scheduler: Scheduler, ids: list[int], steps: int, between=lambda step: None) -> list[np.ndarray]:
    """The logits after a prompt, and after each of the likeliest ids that follow."""
    slot = scheduler.acquire(len(ids) + steps)
    try:
        found = [scheduler.read(slot, ids)]
        for step in range(steps):
            between(step)
            found.append(scheduler.read(slot, [int(found[-1].argmax())]))
        return found
    finally:
        scheduler.release(slot)


def in_threads(*works) -> list:
    found = [None] * len(works)

    def run(number, work):
        try:
            found[number] = work()
        except SlmLabError as fault:
            found[number] = fault

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "nobody waits for ever"
    return found


def same(first, second) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_logits_are_the_same_to_the_bit_alone_and_beside_others(scheduler):
    alone = [walk(scheduler, ids, 20) for ids in TEXTS]
    for _ in range(3):
        together = in_threads(*[lambda ids=ids: walk(scheduler, ids, 20) for ids in TEXTS])
        assert all(same(one, other) for one, other in zip(alone, together, strict=True))


def test_they_are_those_of_the_other_runtime(scheduler, tiny_onnx):
    for ids in TEXTS:
        session = tiny_onnx._session(256)
        session.append(ids)
        assert np.allclose(walk(scheduler, ids, 0)[0], session.logits(), atol=1e-4)


def test_a_newcomer_joins_in_the_middle_and_changes_nothing(scheduler):
    alone = [walk(scheduler, ids, 30) for ids in (TEXTS[1], TEXTS[3])]
    joined, found = threading.Event(), []
    newcomer = threading.Thread(target=lambda: found.append(walk(scheduler, TEXTS[3], 30, lambda _: joined.set())))

    def between(step):
        if step == 10:
            newcomer.start()
        if step == 20:
            assert joined.wait(10), "it writes before the first one has ended"

    first = walk(scheduler, TEXTS[1], 30, between)
    newcomer.join(10)
    assert same(first, alone[0]) and same(found[0], alone[1])


def test_those_who_write_at_the_same_time_share_a_run(scheduler, monkeypatch):
    runs = []
    forward = scheduler._model.forward
    monkeypatch.setattr(scheduler._model, "forward", lambda *given: runs.append(given[2].shape) or forward(*given))
    monkeypatch.setattr(scheduling, "GATHER_S", 0.1)  # a slow machine gathers them all the same
    gate = threading.Barrier(5)
    in_threads(*[lambda: walk(scheduler, TEXTS[2], 10, lambda _: gate.wait(10)) for _ in range(5)])
    steps = [shape for shape in runs if shape[1] == 1]
    assert len(steps) <= 25 and (5, 1) in steps, f"50 ids were written in {len(steps)} runs"


def test_a_long_prompt_is_read_in_blocks_and_others_write_between_them(scheduler, monkeypatch):
    runs = []
    forward = scheduler._model.forward
    monkeypatch.setattr(scheduler._model, "forward", lambda *given: runs.append(given[2].shape) or forward(*given))
    walk(scheduler, TEXTS[4], 0)
    assert runs == [(1, BLOCK), (1, 200 - BLOCK)]


def test_a_slot_is_free_again_when_its_text_leaves(tiny_onnx_folder):
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    first = scheduler.acquire(10)
    found = []
    second = threading.Thread(target=lambda: found.append(scheduler.acquire(10)))
    second.start()
    time.sleep(0.05)
    assert not found, "the only row is taken"
    scheduler.release(first)
    second.join(5)
    assert found[0].row == first.row
    scheduler.close()


def test_a_row_remembers_nothing_of_the_text_before(tiny_onnx_folder):
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    alone = walk(scheduler, TEXTS[1], 5)
    walk(scheduler, TEXTS[4], 20)
    assert same(walk(scheduler, TEXTS[1], 5), alone)
    scheduler.close()


def test_a_long_text_has_memory_of_its_own_and_reads_the_same(tiny_onnx_folder, monkeypatch):
    whole = Scheduler(tiny_onnx_folder, slots=2, threads=1)
    alone = walk(whole, TEXTS[4], 10)
    whole.close()
    monkeypatch.setattr(scheduling, "LONGEST_SHARED", 64)
    scheduler = Scheduler(tiny_onnx_folder, slots=2, threads=1)
    assert scheduler._table.capacity == 64
    long, short = scheduler.acquire(210), scheduler.acquire(64)
    assert long.cache is not scheduler._table and short.cache is scheduler._table
    scheduler.release(long), scheduler.release(short)
    beside = in_threads(lambda: walk(scheduler, TEXTS[4], 10), lambda: walk(scheduler, TEXTS[2], 20),
                        lambda: walk(scheduler, TEXTS[4], 10))  # fmt: skip
    assert same(beside[0], alone) and same(beside[2], alone)
    scheduler.close()


def test_long_texts_wait_for_each_other_and_not_for_short_ones(tiny_onnx_folder, monkeypatch):
    monkeypatch.setattr(scheduling, "LONGEST_SHARED", 64)
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    held = [scheduler.acquire(200) for _ in range(scheduling.LONG_SLOTS)]
    assert len(walk(scheduler, TEXTS[1], 3)) == 4, "a short text finds its row"
    found = []
    third = threading.Thread(target=lambda: found.append(scheduler.acquire(200)))
    third.start()
    time.sleep(0.05)
    assert not found
    scheduler.release(held[0])
    third.join(5)
    assert found
    scheduler.close()


def test_a_full_row_is_read_to_its_last_id(scheduler):
    assert len(walk(scheduler, TEXTS[4], 56)) == 57, "256 ids in all, which is the context"
    beside = in_threads(lambda: walk(scheduler, TEXTS[4], 56), lambda: walk(scheduler, TEXTS[1], 100))
    assert same(beside[0], walk(scheduler, TEXTS[4], 56))


def test_a_run_that_fails_reaches_only_its_askers(scheduler, monkeypatch):
    alone = walk(scheduler, TEXTS[1], 20)
    forward = scheduler._model.forward

    def fail_on_the_long_one(cache, first, ids):
        if ids.shape[1] == BLOCK:
            raise RuntimeError("no memory")
        return forward(cache, first, ids)

    monkeypatch.setattr(scheduler._model, "forward", fail_on_the_long_one)
    fault, found = in_threads(lambda: walk(scheduler, TEXTS[4], 5), lambda: walk(scheduler, TEXTS[1], 20))
    assert isinstance(fault, SlmLabError) and "no memory" in str(fault)
    assert same(found, alone)
    monkeypatch.undo()
    assert len(walk(scheduler, TEXTS[4], 5)) == 6, "and its row is free again"


def test_closing_tells_all_who_wait(tiny_onnx_folder, monkeypatch):
    scheduler = Scheduler(tiny_onnx_folder, slots=2, threads=1)
    running, go = threading.Event(), threading.Event()
    forward = scheduler._model.forward

    def slow(*given):
        running.set()
        go.wait(10)
        return forward(*given)

    monkeypatch.setattr(scheduler._model, "forward", slow)

    def close():
        assert running.wait(10)
        until(lambda: len(scheduler._waiting) == 2)
        threading.Timer(0.05, go.set).start()
        scheduler.close()

    *found, _ = in_threads(*[lambda: walk(scheduler, TEXTS[4], 50)] * 3, close)
    assert [str(one) for one in found] == ["This model was closed."] * 3, "two read, one waits for a row"
    with pytest.raises(SlmLabError, match="closed"):
        walk(scheduler, TEXTS[1], 1)


def test_a_slow_chooser_holds_nobody_up(scheduler):
    slow = scheduler.acquire(20)
    scheduler.read(slow, TEXTS[1])  # its thread now chooses, and takes its time
    (found,) = in_threads(lambda: walk(scheduler, TEXTS[1], 10))
    assert len(found) == 11
    scheduler.release(slow)


def test_a_prompt_that_nobody_waits_for_is_left_at_its_next_block(tiny_onnx_folder, monkeypatch):
    scheduler = Scheduler(tiny_onnx_folder, slots=2, threads=1)
    monkeypatch.setattr(scheduling, "BLOCK", 4)
    gone, blocks = threading.Event(), []
    forward = scheduler._model.forward

    def counted(*given):
        blocks.append(given[2].shape)
        if len(blocks) == 3:
            gone.set()
        return forward(*given)

    monkeypatch.setattr(scheduler._model, "forward", counted)
    slot = scheduler.acquire(210)
    with pytest.raises(SlmLabError, match="Nobody waits"):
        scheduler.read(slot, TEXTS[4], gone)
    assert len(blocks) == 3, "50 blocks are in it"
    scheduler.release(slot)
    assert len(walk(scheduler, TEXTS[1], 3)) == 4
    scheduler.close()


def test_who_waits_for_a_slot_in_vain_is_told(tiny_onnx_folder):
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    held, gone = scheduler.acquire(10), threading.Event()
    threading.Timer(0.05, gone.set).start()
    with pytest.raises(SlmLabError, match="Nobody waits"):
        scheduler.acquire(10, cancelled=gone)
    scheduler.release(held)
    scheduler.release(scheduler.acquire(10))
    scheduler.close()


def test_a_short_prompt_overtakes_a_long_one_and_the_long_one_is_still_read(tiny_onnx_folder, monkeypatch):
    scheduler = Scheduler(tiny_onnx_folder, slots=4, threads=1)
    monkeypatch.setattr(scheduling, "BLOCK", 4)
    order, forward, begun = [], scheduler._model.forward, threading.Event()

    def noted(cache, first, ids):
        order.append(first)
        begun.set()
        time.sleep(0.002)
        return forward(cache, first, ids)

    monkeypatch.setattr(scheduler._model, "forward", noted)
    long = scheduler.acquire(210)
    reader = threading.Thread(target=lambda: scheduler.read(long, TEXTS[4]))
    reader.start()
    begun.wait(10)
    for _ in range(5):  # one short prompt after the other
        slot = scheduler.acquire(8)
        scheduler.read(slot, TEXTS[2][:8])
        scheduler.release(slot)
    behind = len([row for row in order if row == long.row])
    assert 0 < behind < 50, "it is neither starved nor first"
    reader.join(20)
    assert not reader.is_alive() and len([row for row in order if row == long.row]) == 50
    scheduler.release(long)
    scheduler.close()


def test_the_shortest_goes_first_until_others_have_let_enough_pass():
    from endpoint.batch.scheduler import _next_reader
    from endpoint.batch.scheduler import _Request as _Work

    long, short = _Work(None, [0] * BLOCK * 3), _Work(None, [0] * BLOCK)
    chosen = [_next_reader([long, short]) for _ in range(5)]
    assert chosen[:2] == [short, short] and long in chosen and long.passed >= 2


def test_a_text_that_outgrows_the_table_moves_and_goes_on_the_same(tiny_onnx_folder, monkeypatch):
    whole = Scheduler(tiny_onnx_folder, slots=2, threads=1)
    alone = walk(whole, TEXTS[2], 60)
    whole.close()
    monkeypatch.setattr(scheduling, "LONGEST_SHARED", 64)
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    slot = scheduler.acquire(len(TEXTS[2]), 200)
    found, length = [scheduler.read(slot, TEXTS[2])], len(TEXTS[2])
    for _ in range(60):
        length += 1
        if length > slot.cache.capacity:
            slot = scheduler.grow(slot, 200)
        found.append(scheduler.read(slot, [int(found[-1].argmax())]))
    assert slot.cache is not scheduler._table and same(found, alone)
    assert len(walk(scheduler, TEXTS[1], 3)) == 4, "its row is free for others"
    scheduler.release(slot)
    scheduler.close()


def test_a_long_slot_is_not_lost_when_memory_is(tiny_onnx_folder, monkeypatch):
    monkeypatch.setattr(scheduling, "LONGEST_SHARED", 64)
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    memory = scheduler._model.memory

    def none_left(*_):
        raise MemoryError

    monkeypatch.setattr(scheduler._model, "memory", none_left)
    for _ in range(scheduling.LONG_SLOTS + 1):
        with pytest.raises(MemoryError):
            scheduler.acquire(200)
    monkeypatch.setattr(scheduler._model, "memory", memory)
    scheduler.release(scheduler.acquire(200))
    scheduler.close()


def test_closing_tells_one_who_waits_for_a_slot(tiny_onnx_folder):
    scheduler = Scheduler(tiny_onnx_folder, slots=1, threads=1)
    scheduler.acquire(10)
    threading.Timer(0.05, scheduler.close).start()
    with pytest.raises(SlmLabError, match="closed"):
        scheduler.acquire(10)


def test_a_fault_of_the_scheduler_itself_reaches_who_waits_and_the_next_is_answered(scheduler, monkeypatch):
    """Once it ended the thread that runs the model, and all askers waited for ever."""

    def fail(readers):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(scheduling, "_next_reader", fail)
    found = in_threads(*[lambda: walk(scheduler, TEXTS[2], 1)] * 3)
    assert ["oops" in str(one) for one in found] == [True] * 3
    monkeypatch.undo()
    assert len(walk(scheduler, TEXTS[2], 3)) == 4

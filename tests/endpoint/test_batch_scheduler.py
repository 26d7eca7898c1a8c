"""Many texts in one run of a model, each read as if it were alone."""

import mmap
import threading
import time

import numpy as np
import psutil
import pytest

from endpoint.batch import scheduler as scheduling
from endpoint.batch.scheduler import BLOCK, Scheduler
from slmlab.errors import SlmLabError
from tests.live_server import ONE_FAMILY, until

TEXTS = [[int(one) for one in np.random.default_rng(seed).integers(0, 256, size)] for seed, size in
         enumerate((1, 5, 40, 129, 200))]  # fmt: skip


pytestmark = ONE_FAMILY
WANTED = threading.Event()  # is never set


@pytest.fixture
def make(tiny_onnx_folder, monkeypatch):
    """Makes schedulers with so many slots; with constants of the module set to other values."""
    made = []

    def new(slots: int, **constants) -> Scheduler:
        for name, value in constants.items():
            monkeypatch.setattr(scheduling, name, value)
        made.append(Scheduler(tiny_onnx_folder, slots=slots, threads=1))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture
def scheduler(make):
    return make(5)


def before_runs(scheduler: Scheduler, monkeypatch, act) -> None:
    """Do something before each run of the model: act(cache, first row, ids)."""
    forward = scheduler._model.forward
    monkeypatch.setattr(scheduler._model, "forward", lambda *given: (act(*given), forward(*given))[1])


def walk(scheduler: Scheduler, ids: list[int], steps: int, between=lambda step: None) -> list[np.ndarray]:
    """The logits after a prompt, and after each of the likeliest ids that follow."""
    slot = scheduler.acquire(ids, WANTED)
    try:
        found = [scheduler.read(slot, ids, WANTED)]
        for step in range(steps):
            between(step)
            found.append(scheduler.read(slot, [int(found[-1].argmax())], WANTED))
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


def test_those_who_write_at_the_same_time_share_a_run(make, monkeypatch):
    scheduler, runs = make(5, GATHER_S=0.1), []  # a slow machine gathers them all the same
    before_runs(scheduler, monkeypatch, lambda cache, first, ids: runs.append(ids.shape))
    gate = threading.Barrier(5)
    in_threads(*[lambda: walk(scheduler, TEXTS[2], 10, lambda _: gate.wait(10)) for _ in range(5)])
    steps = [shape for shape in runs if shape[1] == 1]
    assert len(steps) <= 25 and (5, 1) in steps, f"50 ids were written in {len(steps)} runs"


def test_a_lone_row_has_a_neighbour_where_the_kernel_wants_one(make, monkeypatch):
    for slots, width in ((3, 2), (1, 1)):
        scheduler, runs = make(slots), []
        alone = walk(scheduler, TEXTS[2], 5)
        scheduler._model.fewest_rows = 2
        before_runs(scheduler, monkeypatch, lambda cache, first, ids, runs=runs: runs.append(ids.shape))
        held = [scheduler.acquire([], WANTED) for _ in range(slots - 1)]  # the last row has its neighbour before it
        assert same(walk(scheduler, TEXTS[2], 5), alone) and runs[1:] == [(width, 1)] * 5
        for slot in held:
            scheduler.release(slot)


def test_the_table_grows_for_a_text_that_needs_more_and_no_logits_change(make, monkeypatch):
    alone = [walk(make(2), ids, 56) for ids in (TEXTS[4], TEXTS[2])]  # the first one to the end of the context
    scheduler = make(2, CAPACITY=64)
    together = in_threads(lambda: walk(scheduler, TEXTS[4], 56), lambda: walk(scheduler, TEXTS[2], 56))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))
    assert scheduler._cache.capacity == 256
    small = make(2, CAPACITY=64)
    monkeypatch.setattr(small._cache, "grow", lambda *_: np.zeros(1 << 50))
    found, fault = in_threads(lambda: walk(small, TEXTS[2], 20), lambda: walk(small, TEXTS[4], 1))
    assert "Unable to allocate" in str(fault) and same(found, alone[1][:21]), "memory that isn't there fails one text"


def test_memory_of_the_texts_goes_back_when_nobody_asks(make):
    scheduler = make(5, REST_S=0.05)
    alone, used = walk(scheduler, TEXTS[4], 9), scheduler._cache
    until(lambda: scheduler._cache is not used)
    rested = scheduler._cache
    time.sleep(0.2)
    assert scheduler._cache is rested, "what was never written in is not made anew"
    assert same(walk(scheduler, TEXTS[4], 9), alone)
    slot = scheduler.acquire(TEXTS[4], WANTED)
    read = scheduler.read(slot, TEXTS[4], WANTED)
    time.sleep(0.2)
    assert same([scheduler.read(slot, [int(read.argmax())], WANTED)], alone[1:2]), "a text that is held is kept"
    scheduler.release(slot)


@pytest.mark.skipif(not hasattr(mmap, "MADV_NOHUGEPAGE"), reason="huge pages that nobody asked for are Linux's")
def test_a_text_takes_memory_for_its_ids_and_not_for_a_whole_row(scheduler):
    cache, size = scheduler._model.memory(16, 1 << 14), psutil.Process().memory_info
    before = size().rss
    for array in cache.arrays:
        array[:, :, :8] = 1
    assert size().rss - before < sum(one.nbytes for one in cache.arrays) / 20


def test_a_run_that_fails_reaches_only_its_askers(scheduler, monkeypatch):
    alone = walk(scheduler, TEXTS[1], 20)

    def fail_on_the_long_one(cache, first, ids):
        if ids.shape[1] == BLOCK:
            raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        before_runs(scheduler, patch, fail_on_the_long_one)
        fault, found = in_threads(lambda: walk(scheduler, TEXTS[4], 5), lambda: walk(scheduler, TEXTS[1], 20))
    assert isinstance(fault, SlmLabError) and "no memory" in str(fault)
    assert same(found, alone)
    assert len(walk(scheduler, TEXTS[4], 5)) == 6, "and its row is free again"


def test_a_fault_of_the_scheduler_itself_reaches_who_waits_and_the_next_is_answered(scheduler, monkeypatch):
    """Once it ended the thread that runs the model, and all askers waited for ever."""
    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "_next_reader", lambda readers: 1 / 0)
        found = in_threads(*[lambda: walk(scheduler, TEXTS[2], 1)] * 3)
        assert ["by zero" in str(one) for one in found] == [True] * 3
    assert len(walk(scheduler, TEXTS[2], 3)) == 4


def test_closing_tells_all_who_wait(make, monkeypatch):
    scheduler, running, go = make(2), threading.Event(), threading.Event()
    before_runs(scheduler, monkeypatch, lambda *_: (running.set(), go.wait(10)))

    def close():
        assert running.wait(10)
        until(lambda: len(scheduler._waiting) == 2)
        threading.Thread(target=lambda: (until(lambda: scheduler._closed), go.set())).start()
        scheduler.close()

    *found, _ = in_threads(*[lambda: walk(scheduler, TEXTS[4], 50)] * 3, close)
    assert [str(one) for one in found] == ["This model was closed."] * 3, "two read, one waits for a slot"
    with pytest.raises(SlmLabError, match="closed"):
        walk(scheduler, TEXTS[1], 1)


def test_a_prompt_that_nobody_waits_for_is_left_at_its_next_block(make, monkeypatch):
    scheduler, cancelled, blocks = make(1, BLOCK=4), threading.Event(), []
    before_runs(scheduler, monkeypatch, lambda *_: (blocks.append(1), len(blocks) == 3 and cancelled.set()))
    slot = scheduler.acquire([], WANTED)
    with pytest.raises(SlmLabError, match="Nobody waits"):
        scheduler.read(slot, TEXTS[4], cancelled)
    assert len(blocks) == 3, "50 blocks are in it"
    with pytest.raises(SlmLabError, match="Nobody waits"):
        scheduler.acquire([], cancelled)  # nor for a slot
    scheduler.release(slot)
    assert len(walk(scheduler, TEXTS[1], 3)) == 4


def test_a_short_prompt_overtakes_a_long_one_and_the_long_one_is_still_read(make, monkeypatch):
    scheduler, order, begun = make(4, BLOCK=4), [], threading.Event()
    before_runs(scheduler, monkeypatch, lambda cache, first, ids: (order.append(first), begun.set(), time.sleep(0.002)))
    long = scheduler.acquire([], WANTED)
    reader = threading.Thread(target=lambda: scheduler.read(long, TEXTS[4], WANTED))
    reader.start()
    begun.wait(10)
    for _ in range(5):  # one short prompt after the other
        walk(scheduler, TEXTS[2][:8], 0)
    assert 0 < order.count(long.row) < 50, "it is neither starved nor first"
    reader.join(20)
    assert order.count(long.row) == 50

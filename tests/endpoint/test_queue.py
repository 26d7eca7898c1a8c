"""The slots of an engine, the queue before them, and what happens to an answer whose reader has gone."""

import asyncio

import pytest

from endpoint.openai_protocol import Refusal
from endpoint.queue import Queue
from slmlab.errors import BadRequest, SlmLabError
from tests.live_server import ScriptedEngine


async def here() -> bool:
    return False


async def happened(what, most_s: float = 5):
    end = asyncio.get_running_loop().time() + most_s
    while not what():
        assert asyncio.get_running_loop().time() < end, "what the test waits for didn't happen"
        await asyncio.sleep(0.005)


def in_queue(work, engine: ScriptedEngine | None = None, waiting: int = 2):
    """Run a test's work with a queue, on an event loop."""
    queue = Queue(engine or ScriptedEngine(), waiting)

    async def run():
        try:
            return await work(queue)
        finally:
            queue.close()

    return asyncio.run(run())


def ask(queue: Queue, is_gone=here):
    return queue.answer(lambda: queue.engine.ask("Hello"), is_gone)


async def whole(events) -> list:
    return [event async for event in events]


def test_slots_and_then_the_queue_and_then_a_refusal_with_a_time():
    engine = ScriptedEngine(seats=2, stepwise=True)

    async def work(queue):
        inside = [asyncio.create_task(whole(ask(queue))) for _ in range(4)]
        await happened(lambda: engine.open == 2)
        assert (queue.inside, queue.running) == (4, 2)
        with pytest.raises(Refusal) as caught:
            await anext(ask(queue))
        assert caught.value.status == 429 and int(caught.value.headers["Retry-After"]) >= 1
        for _ in range(8):
            engine.step.release()
        answers = await asyncio.gather(*inside)
        assert all(len(one) == 4 for one in answers), "whoever was let in is answered"
        await happened(lambda: queue.running == 0)
        assert queue.inside == 0

    in_queue(work, engine)


def test_one_whose_client_goes_while_it_waits_leaves_the_queue(monkeypatch):
    monkeypatch.setattr("endpoint.queue.LOOK_S", 0.02)
    engine, gone = ScriptedEngine(stepwise=True), []

    async def is_gone():
        return bool(gone)

    async def work(queue):
        running = asyncio.create_task(whole(ask(queue)))
        await happened(lambda: engine.open == 1)
        waiting = asyncio.create_task(whole(ask(queue, is_gone)))
        await happened(lambda: queue.inside == 2)
        gone.append(True)
        with pytest.raises(Refusal) as caught:
            await waiting
        assert caught.value.status == 499 and queue.inside == 1
        engine.step.release()
        engine.step.release()
        assert len(await running) == 4

    in_queue(work, engine)


def test_a_fault_of_the_engine_reaches_its_asker_and_nobody_else():
    async def work(queue):
        for fault, status, code in (
            (BadRequest("The prompt has 9 tokens and it holds 8."), 400, "context_length_exceeded"),
            (BadRequest("no"), 400, "invalid_request"), (SlmLabError("closed"), 500, "server_error"),
            (ZeroDivisionError("oops"), 500, "server_error"),
        ):  # fmt: skip

            def fail(fault=fault):
                raise fault

            with pytest.raises(Refusal) as caught:
                await whole(queue.answer(fail, here))
            assert (caught.value.status, caught.value.code) == (status, code)
        await happened(lambda: queue.running == 0)
        assert queue.inside == 0 and len(await whole(ask(queue))) == 4

    in_queue(work)

"""serving/desk: seats, the queue before them, and what happens to an answer whose reader has gone."""

import asyncio
from contextlib import aclosing, contextmanager

import pytest

from endpoint.openai_protocol import Refusal
from endpoint.queue import Accepted, Desk, whole
from slmlab.errors import BadRequest, SlmLabError
from slmlab.records import End, Token
from tests.live_server import ScriptedEngine


async def here() -> bool:
    return False


async def happened(what, most_s: float = 5):
    end = asyncio.get_running_loop().time() + most_s
    while not what():
        assert asyncio.get_running_loop().time() < end, "what the test waits for didn't happen"
        await asyncio.sleep(0.005)


def at_desk(work, engine: ScriptedEngine | None = None, waiting: int = 2):
    """Run a test's work with a desk, on an event loop."""
    desk = Desk(engine or ScriptedEngine(), waiting)

    async def run():
        try:
            return await work(desk)
        finally:
            desk.close()

    return asyncio.run(run())


def ask(desk: Desk, is_gone=here):
    return desk.answer(lambda: desk.engine.ask("Hello"), is_gone)


def test_an_answer_is_accepted_then_told_then_ended():
    async def work(desk):
        return [event async for event in ask(desk)]

    accepted, *tokens, end = at_desk(work)
    assert accepted == Accepted(5) and [one.text for one in tokens] == ["Hello", " there"]
    assert isinstance(end, End) and end.reason == "end"


def test_the_whole_is_the_same_answer():
    async def work(desk):
        return await whole(ask(desk), here)

    prompt_tokens, tokens, end = at_desk(work)
    assert prompt_tokens == 5 and "".join(one.text for one in tokens) == "Hello there" and end.reason == "end"


def test_seats_and_then_the_queue_and_then_a_refusal_with_a_time():
    engine = ScriptedEngine(seats=2, stepwise=True)

    async def work(desk):
        inside = [asyncio.create_task(whole(ask(desk), here)) for _ in range(4)]
        await happened(lambda: engine.open == 2)
        assert (desk.inside, desk.running, desk.queued) == (4, 2, 2)
        with pytest.raises(Refusal) as caught:
            await anext(ask(desk))
        assert caught.value.status == 429 and int(caught.value.headers["Retry-After"]) >= 1
        for _ in range(8):
            engine.step.release()
        answers = await asyncio.gather(*inside)
        assert all(len(tokens) == 2 for _, tokens, _ in answers), "whoever was let in is answered"
        await happened(lambda: desk.running == 0)
        assert desk.inside == 0

    at_desk(work, engine)


def test_leaving_stops_the_engine_and_frees_the_seat():
    engine = ScriptedEngine(*"abcdefgh", stepwise=True)

    async def work(desk):
        async with aclosing(ask(desk)) as events:
            engine.step.release()
            async for event in events:
                if isinstance(event, Token):
                    break
        assert desk.inside == 0
        engine.step.release()
        await happened(lambda: engine.left == 1)
        for _ in range(8):
            engine.step.release()
        _, tokens, _ = await whole(ask(desk), here)
        assert len(tokens) == 8, "the seat is free for the next"

    at_desk(work, engine)


def test_one_that_leaves_the_queue_never_runs():
    engine = ScriptedEngine(stepwise=True)

    async def work(desk):
        running = asyncio.create_task(whole(ask(desk), here))
        await happened(lambda: engine.open == 1)
        waiting = asyncio.create_task(whole(ask(desk), here))
        await happened(lambda: desk.queued == 1)
        waiting.cancel()
        await happened(lambda: desk.inside == 1)
        engine.step.release()
        engine.step.release()
        await running
        await asyncio.sleep(0.05)
        assert len(engine.asked) == 1

    at_desk(work, engine)


def test_one_whose_client_goes_while_it_waits_leaves_the_queue(monkeypatch):
    monkeypatch.setattr("endpoint.queue.LOOK_S", 0.02)
    engine, gone = ScriptedEngine(stepwise=True), []

    async def is_gone():
        return bool(gone)

    async def work(desk):
        running = asyncio.create_task(whole(ask(desk), here))
        await happened(lambda: engine.open == 1)
        waiting = asyncio.create_task(whole(ask(desk, is_gone), is_gone))
        await happened(lambda: desk.queued == 1)
        gone.append(True)
        with pytest.raises(Refusal) as caught:
            await waiting
        assert caught.value.status == 499 and desk.inside == 1
        engine.step.release()
        engine.step.release()
        assert len((await running)[1]) == 2

    at_desk(work, engine)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (BadRequest("too many"), 400, "context_length_exceeded"),
        (BadRequest("no"), 400, "invalid_request"),
        (SlmLabError("closed"), 500, "server_error"),
        (ZeroDivisionError("oops"), 500, "server_error"),
    ],
)
def test_a_fault_of_the_engine_reaches_its_asker_and_nobody_else(fault, status, code):
    def fail():
        raise fault

    async def work(desk):
        with pytest.raises(Refusal) as caught:
            await whole(desk.answer(fail, here), here)
        assert (caught.value.status, caught.value.code) == (status, code)
        await happened(lambda: desk.running == 0)
        assert desk.inside == 0 and len((await whole(ask(desk), here))[1]) == 2

    at_desk(work)


def test_a_fault_in_the_middle_comes_after_the_tokens_before_it():
    engine = ScriptedEngine("a", "b", "c", fault=SlmLabError("The model failed."))

    async def work(desk):
        seen = []
        with pytest.raises(Refusal):
            async for event in ask(desk):
                seen.append(event)
        assert [one.text for one in seen[1:]] == ["a", "b"]

    at_desk(work, engine)


def test_a_whole_answer_stops_when_its_client_goes():
    engine = ScriptedEngine(*["word"] * 400, pace_s=0.001)

    async def gone():
        return True

    async def work(desk):
        with pytest.raises(Refusal) as caught:
            await whole(ask(desk), gone)
        assert caught.value.status == 499
        await happened(lambda: engine.left == 1)

    at_desk(work, engine)


def test_the_time_to_wait_follows_what_answers_take():
    async def patience(desk):
        tasks = [asyncio.create_task(whole(ask(desk), here)) for _ in range(3)]
        await happened(lambda: desk.inside == 3)
        with pytest.raises(Refusal) as caught:
            await anext(ask(desk))
        for task in tasks:
            task.cancel()
        desk.engine.step.release()
        desk.engine.step.release()
        return int(caught.value.headers["Retry-After"])

    async def slow(desk):
        desk._answer_s = 20.0
        return await patience(desk)

    assert at_desk(patience, ScriptedEngine(stepwise=True)) < at_desk(slow, ScriptedEngine(stepwise=True)) == 60


def test_fewer_than_none_cannot_wait():
    with pytest.raises(BadRequest, match="waiting=-1"):
        Desk(ScriptedEngine(), -1)


def test_an_engine_is_told_when_nobody_waits(monkeypatch):
    engine, told = ScriptedEngine("a", "b", stepwise=True), []

    @contextmanager
    def until(gone):
        told.append(gone)
        yield

    monkeypatch.setattr(engine, "until", until)

    async def work(desk):
        events = ask(desk)
        engine.step.release()
        await anext(events)
        assert not told[0].is_set()
        await events.aclose()
        assert told[0].is_set()
        engine.step.release()

    at_desk(work, engine)


def test_a_desk_that_is_stopped_tells_those_whose_answer_is_not_whole():
    engine = ScriptedEngine("a", "b", stepwise=True)

    async def work(desk):
        events = ask(desk)
        engine.step.release()
        await anext(events)
        desk.stop()
        with pytest.raises(Refusal) as caught:
            async for _ in events:
                pass
        assert caught.value.status == 503 and "stopped" in caught.value.message
        engine.step.release()

    at_desk(work, engine)


def test_only_whole_answers_count_towards_the_time_to_come_back():
    engine = ScriptedEngine("a", stepwise=True)

    async def work(desk):
        before = desk._answer_s
        events = ask(desk)
        started = asyncio.ensure_future(anext(events))
        await happened(lambda: engine.open == 1)
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        engine.step.release()
        await happened(lambda: desk.running == 0)
        assert desk._answer_s == before

    at_desk(work, engine)

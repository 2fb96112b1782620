"""What a run of a durable task leaves to the next one, and when it may leave nothing; with a real executor."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from dbos import DBOS
from dbos import error as dbos_error

from agents.durable import executor as durable
from agents.durable.executor import Executor
from lakehouse.settings import Settings
from lakehouse.storage.database import Database


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in {"BEAT_S": 0.1, "SILENT_S": 0.5, "QUEUE_POLL_S": 0.05, "LOOK_S": 0.1}.items():
        monkeypatch.setattr(durable, name, seconds)


@pytest.fixture
def database(tmp_path, database_url):
    database = Database.open(Settings(home=tmp_path, database_url=database_url))
    yield database
    database.close()


@asynccontextmanager
async def executor(database, work):
    executor = Executor(database, work)
    await executor.start()
    try:
        yield executor
    finally:
        await executor.stop()


async def ended(executor, task_id):
    deadline = time.monotonic() + 30
    while (state := await executor.state(task_id)).status in ("queued", "running"):
        assert time.monotonic() < deadline, state
        await asyncio.sleep(0.05)
    return state


async def gives(value):
    return value


async def test_the_next_run_sees_what_the_first_one_looked_up_and_did_wherever_it_stands(database):
    stands = asyncio.Event()

    async def first(task_id, request, journal):
        journal.look("away", lambda: ["sql"])
        for part, branch in enumerate(journal.branches(2)):
            with branch:
                await journal.once("read", lambda part=part: gives(part))
        journal.look("away", lambda: ["python"])  # nothing follows from it any more
        stands.set()
        await asyncio.Event().wait()

    async def second(task_id, request, journal):
        seen = [journal.look("away", list)]
        for branch in reversed(journal.branches(2)):
            with branch:
                seen.append(await journal.once("read", lambda: gives("again")))
        return repr([*seen, journal.look("away", list)])

    async with executor(database, first) as one:
        await one.submit("task_1", "a question")
        await asyncio.wait_for(stands.wait(), 30)
    async with executor(database, second) as other:
        state = await ended(other, "task_1")

    assert (state.status, state.result) == ("done", "[['sql'], 1, 0, []]")


async def test_a_program_that_takes_another_way_than_before_fails_and_says_so(database):
    stands = asyncio.Event()

    async def first(task_id, request, journal):
        await journal.once("read", lambda: gives(1))
        stands.set()
        await asyncio.Event().wait()

    async def second(task_id, request, journal):
        return await journal.once("plan", lambda: gives("2"))

    async with executor(database, first) as one:
        await one.submit("task_1", "a question")
        await asyncio.wait_for(stands.wait(), 30)
    async with executor(database, second) as other:
        state = await ended(other, "task_1")

    assert state.status == "failed"
    assert "did 'read' where it now does 'plan'" in str(state.error)


async def test_what_another_gateway_cancels_stops_here_and_does_not_go_on(database):
    stands, ends = asyncio.Event(), asyncio.Queue()

    async def work(task_id, request, journal):
        stands.set()
        try:
            await journal.once("read", asyncio.Event().wait)
        except BaseException as end:
            ends.put_nowait((type(end), journal.goes_on(end)))
            raise

    async with executor(database, work) as one:
        await one.submit("task_1", "a question")
        await asyncio.wait_for(stands.wait(), 30)
        await DBOS.cancel_workflow_async("task_1")  # as the other one does, which does not know the run

        assert await asyncio.wait_for(ends.get(), 10) == (asyncio.CancelledError, False)
        assert (await one.state("task_1")).status == "cancelled"


async def test_an_action_that_ends_after_its_task_was_cancelled_is_not_kept(database, monkeypatch):
    monkeypatch.setattr(durable, "LOOK_S", 60.0)
    stands, cancelled, ends = asyncio.Event(), asyncio.Event(), asyncio.Queue()

    async def work(task_id, request, journal):
        stands.set()
        try:
            await journal.once("read", cancelled.wait)
        except BaseException as end:
            ends.put_nowait((type(end), journal.goes_on(end)))
            raise

    async with executor(database, work) as one:
        await one.submit("task_1", "a question")
        await asyncio.wait_for(stands.wait(), 30)
        await DBOS.cancel_workflow_async("task_1")
        cancelled.set()

        assert await asyncio.wait_for(ends.get(), 30) == (dbos_error.DBOSWorkflowCancelledError, False)
        assert (await one.state("task_1")).steps == []

"""What a run of a durable task leaves to the next run, and when it leaves nothing; with a real executor."""

import asyncio
import pickle
import time
from contextlib import asynccontextmanager
from contextvars import Context

import pytest
import sqlalchemy as sa
from dbos import DBOS
from dbos import error as dbos_error

from agents.answer import Step
from agents.durable import executor as durable
from agents.durable.executor import LIVES, Executor
from agents.durable.journal import recorded_steps
from agents.durable.task_rows import TaskRows
from agents.task.actions import Done
from lakehouse.settings import Settings
from lakehouse.storage.database import Database
from lakehouse.storage.relational_tables import EARLIER_STEPS, VERSION_TABLE

STEP = {
    "kind": "chat",
    "agent": "read",
    "hop": 1,
    "sub_task": None,
    "started_at": "2026-11-03T12:00:00.123456Z",
    "attempt": 1,
    "query": None,
    "output": "BSD",
    "passages": [],
    "input_tokens": 9,
    "cached_tokens": 0,
    "output_tokens": 1,
    "usd": "0.0100000000",
    "latency_ms": 12.5,
    "error": None,
}


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
        await DBOS.cancel_workflow_async("task_1")  # as another gateway does, which does not know the run

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


async def test_a_task_that_was_cancelled_while_it_was_handed_over_does_not_begin(database):
    async def work(task_id, request, journal):
        raise AssertionError("it begins")

    await asyncio.to_thread(TaskRows(database).cancel, "task_1")
    async with executor(database, work) as running:
        await running.submit("task_1", "a question")

        assert (await ended(running, "task_1")).status == "cancelled"


async def test_a_task_that_took_five_processes_with_it_is_not_begun_again(database):
    async def work(task_id, request, journal):
        raise AssertionError("it begins")

    for _ in range(LIVES):
        await asyncio.to_thread(TaskRows(database).begin, "task_1")
    async with executor(database, work) as running:
        await running.submit("task_1", "a question")
        state = await ended(running, "task_1")

    assert state.status == "failed"
    assert "begun 5 times" in str(state.error)


async def test_an_action_under_a_context_of_its_own_is_recorded_too(database):
    async def work(task_id, request, journal):
        apart = asyncio.get_running_loop().create_task(journal.once("read", lambda: gives(1)), context=Context())
        return repr(await apart)

    async with executor(database, work) as running:
        await running.submit("task_1", "a question")
        await ended(running, "task_1")

        assert [(action.place, action.name, action.result) for action in await recorded("task_1")] == [("1", "read", 1)]


async def recorded(task_id):
    return (await asyncio.to_thread(recorded_steps, task_id)).actions


async def test_a_task_of_the_previous_release_goes_on_with_its_steps(tmp_path):
    """Its file is `tasks.sqlite`, where DBOS has the task, and `lakehop_steps` what it did."""
    stands = asyncio.Event()
    step = Step.model_validate(STEP)

    async def first(task_id, request, journal):
        stands.set()
        await asyncio.Event().wait()

    async def second(task_id, request, journal):
        done, elapsed_s = await journal.once("read", lambda: gives("again"))
        return f"{done.step.agent} {elapsed_s} {await journal.once('read', lambda: gives('new'))}"

    earlier = Database.open(Settings(home=tmp_path / "apart", database_url=f"sqlite:///{tmp_path / 'tasks.sqlite'}"))
    async with executor(earlier, first) as running:
        await running.submit("task_1", "a question")
        await asyncio.wait_for(stands.wait(), 30)
    done = pickle.dumps((Done(step), 0.5), protocol=2).replace(b"cagents.task.actions\n", b"cagents.recorder\n")
    with earlier.write() as connection:
        row = {"task_id": "task_1", "place": "1", "number": 1, "name": "read", "gave": done}
        connection.execute(sa.insert(EARLIER_STEPS), row)
        for table in ("keys", "settled", "reservations", "stored_answers", "adopted_files", "lakehop_tasks"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
    earlier.close()

    database = Database.open(Settings(home=tmp_path))
    async with executor(database, second) as running:
        state = await ended(running, "task_1")
    database.close()

    assert (state.status, state.result) == ("done", "read 0.5 new")
    assert [shown.agent for shown in state.steps] == ["read"]
    assert not (tmp_path / "tasks.sqlite").exists()

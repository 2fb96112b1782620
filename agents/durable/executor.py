"""Tasks that outlive their process, on DBOS: each is a workflow, whose actions a journal keeps as they end.

An executor is one process that works at tasks. It tells the others by a heartbeat that it lives; when one falls
silent, the next to notice puts its tasks back into the queue.
"""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID, WorkflowStatus
from dbos._context import current_owner_xid

from agents.answer import Step, TaskStatus
from agents.durable.journal import DurableJournal, KeptSteps, gave
from agents.task.journal import Journal
from agents.task.recorder import Done
from lakehouse.settings import Settings

AT_ONCE = 4  # tasks that one executor works at: a replica on a CPU answers four at once as fast as one
QUEUE = "tasks"
QUEUE_POLL_S = 0.5
BEAT_S = 2.0
PURGE_S = 60.0  # between two looks for tasks that were kept long enough
SILENT_S = 10.0  # five beats: a busy machine misses one or two
LOOK_S = 1.0  # between two looks for tasks that another gateway was told to cancel
CANCEL_S = 10.0  # to write what a cut off call has cost, on a busy disk
LIVES = 5  # a task that took so many processes with it is not tried again
KEPT = timedelta(days=1)  # an ended task, as long as an answer is kept under its Idempotency-Key
THREADS = 64  # DBOS's are the whole loop's: searches that wait for a hung Milvus must not hold up a key check
_NEEDS_SQLITE = (3, 42)

log = logging.getLogger("lakehop.tasks")

_STATUSES: dict[str, TaskStatus] = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "cancelled",
}


@dataclass(frozen=True)
class TaskState:
    """What is known of a durable task. `result` when it is done, `error` when it failed."""

    status: TaskStatus
    request: str
    created_at: datetime
    steps: list[Step]
    result: str | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Run:
    """A task that is worked at here."""

    work: asyncio.Task[Any]
    journal: DurableJournal
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def cancel(self) -> None:
        """Stop it for good, in the middle of an action."""
        if not self.journal.cancelled:
            self.journal.cancelled = True
            self.work.cancel()


class Executor:
    """Works at durable tasks; one a process, started on the event loop that the work shall run on.

    `work` gets a task's id and request, which are texts, for they are kept, and its journal; it returns its result.
    """

    def __init__(self, settings: Settings, work: Callable[[str, str, Journal], Awaitable[str]]) -> None:
        self._engine = _engine(
            settings.tasks_database_url.get_secret_value() or f"sqlite:///{settings.home / 'tasks.sqlite'}"
        )
        self._heartbeat = Heartbeat(self._engine, f"executor_{uuid.uuid4().hex[:12]}")
        self._steps = KeptSteps(self._engine)
        self._running: dict[str, _Run] = {}
        self._watches: list[asyncio.Task[None]] = []
        DBOS(
            config={
                "name": "lakehop",
                "system_database_url": self._engine.url.render_as_string(hide_password=False),
                "system_database_engine": self._engine,
                "executor_id": self._heartbeat.executor_id,
                # Whatever version began a task, this one goes on with it; where it cannot, the task fails and says so.
                "application_version": "1",
                "max_executor_threads": THREADS,
                "log_level": "ERROR",
            }
        )

        @DBOS.workflow(name="task", max_recovery_attempts=LIVES)
        async def task(task_id: str, request: str) -> str:
            current, owner = asyncio.current_task(), current_owner_xid(task_id)
            assert current
            assert owner
            before = await asyncio.to_thread(self._steps.of, task_id)
            run = _Run(current, DurableJournal(self._steps, task_id, owner, before))
            self._running[task_id] = run
            try:
                return await work(task_id, request, run.journal)
            finally:
                if self._running.get(task_id) is run:  # else it was given to this process anew
                    del self._running[task_id]
                run.ended.set()

        self._task = task

    async def start(self) -> None:
        """Begin to work: at what waits, and at what dead executors left."""
        await asyncio.to_thread(self._steps.create)
        DBOS.launch()  # here and not in a thread: DBOS runs workflows on the loop that it is launched on
        await DBOS.register_queue_async(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=QUEUE_POLL_S)
        await asyncio.to_thread(self._heartbeat.begin)
        look = partial(self._stop_cancelled, asyncio.get_running_loop())
        repeated = ((LOOK_S, look), (BEAT_S, self._take_over), (PURGE_S, self._purge))
        self._watches = [asyncio.create_task(_every(seconds, work)) for seconds, work in repeated]

    async def stop(self) -> None:
        """Leave what runs to the next executor."""
        for watch in self._watches:
            watch.cancel()
        running = [run.work for run in self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(self._heartbeat.end)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # DBOS's own has ended with it

    async def submit(self, task_id: str, request: str) -> None:
        """Have a task done; it is kept when this returns. A second one of the same id changes nothing."""
        with SetWorkflowID(task_id):
            await DBOS.enqueue_workflow_async(QUEUE, self._task, task_id, request)

    async def state(self, task_id: str) -> TaskState | None:
        """What is known of a task; None where there is none, or not any more."""
        status = await DBOS.get_workflow_status_async(task_id)
        if status is None or not status.input:
            return None
        steps = await asyncio.to_thread(self._steps.of, task_id)
        return _state(status, [gave(kept) for kept in steps])

    async def cancel(self, task_id: str) -> None:
        """Stop a task wherever it runs, within about a second; one that has ended stays as it is.

        Where it runs here, this returns when it has cleaned up.
        """
        await DBOS.cancel_workflow_async(task_id)
        if run := self._running.get(task_id):
            run.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(run.ended.wait(), CANCEL_S)

    def _stop_cancelled(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop what runs here and was cancelled by another gateway."""
        if running := dict(self._running):
            for one in DBOS.list_workflows(
                workflow_ids=[*running], status="CANCELLED", load_input=False, load_output=False
            ):
                loop.call_soon_threadsafe(running[one.workflow_id].cancel)

    def _take_over(self) -> None:
        self._heartbeat.beat()
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        for executor_id in self._heartbeat.silent({one.executor_id for one in pending if one.executor_id}):
            # Internal to DBOS, and the one way in which two that notice at once do not both take a task.
            taken = DBOS._recover_pending_workflows([executor_id])
            log.warning("%s fell silent; %d of its tasks are in the queue again", executor_id, len(taken))

    def _purge(self) -> None:
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            completed_before=(datetime.now(UTC) - KEPT).isoformat(),
            load_input=False,
            load_output=False,
        )
        if task_ids := [one.workflow_id for one in ended]:
            self._steps.forget(task_ids)
            DBOS.delete_workflows(task_ids)


@dataclass
class Heartbeat:
    """A count in the tasks' database that rises while its executor lives. No two clocks are ever compared."""

    engine: sa.Engine
    executor_id: str
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def begin(self) -> None:
        """Say for the first time that this executor lives."""
        with self.engine.begin() as database:
            database.execute(
                sa.text("CREATE TABLE IF NOT EXISTS lakehop_executors (executor_id TEXT PRIMARY KEY, beats BIGINT)")
            )
        self.beat()

    def beat(self) -> None:
        """Say that this executor lives."""
        with self.engine.begin() as database:
            database.execute(
                sa.text(
                    "INSERT INTO lakehop_executors VALUES (:id, 1) "
                    "ON CONFLICT (executor_id) DO UPDATE SET beats = lakehop_executors.beats + 1"
                ),
                {"id": self.executor_id},
            )

    def end(self) -> None:
        """Say that this executor is gone."""
        with self.engine.begin() as database:
            database.execute(sa.text("DELETE FROM lakehop_executors WHERE executor_id = :id"), {"id": self.executor_id})

    def silent(self, executor_ids: set[str]) -> list[str]:
        """Those whose count has not risen for a while by this process's clock; -1 is the count of one that has none."""
        with self.engine.connect() as database:
            rows = database.execute(sa.text("SELECT executor_id, beats FROM lakehop_executors"))
            beats = {row.executor_id: int(row.beats) for row in rows}
        now, silent = time.monotonic(), []
        for executor_id in executor_ids - {self.executor_id}:
            count = beats.get(executor_id, -1)
            before, since = self._seen.get(executor_id, (None, now))
            self._seen[executor_id] = (count, since if count == before else now)
            if count == before and now - since >= SILENT_S:
                silent.append(executor_id)
        return silent


async def _every(seconds: float, work: Callable[[], None]) -> None:
    """Do the work beside the event loop, again and again; a database that is away is asked again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(work)
        except Exception:
            log.exception("the tasks' database does not answer")


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """What DBOS sets where it makes the connection itself, and a log that lets readers read beside a writer."""
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("busy_timeout = 30000", "foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    if sqlite3.sqlite_version_info < _NEEDS_SQLITE:  # Debian 12 has 3.40, whose unixepoch('subsec') is NULL
        connection.create_function("unixepoch", 1, lambda _: time.time())


def _state(status: WorkflowStatus, outputs: list[Any]) -> TaskState:
    error = status.error
    if status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        error = RuntimeError(f"the task was begun {LIVES} times, and each time its process died")
    assert status.input
    return TaskState(
        status=_STATUSES[status.status],
        request=status.input["args"][1],
        created_at=datetime.fromtimestamp((status.created_at or 0) / 1000, UTC),
        steps=[done.step for kept in outputs if isinstance(kept, tuple) for done in _done(kept[0])],
        result=status.output if status.status == "SUCCESS" else None,
        error=error,
    )


def _done(kept: Any) -> list[Done]:
    """The actions of a step of a workflow; what a task looked up is none."""
    return [one for one in (kept if isinstance(kept, list) else [kept]) if isinstance(one, Done)]

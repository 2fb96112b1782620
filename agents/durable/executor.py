"""Runs tasks that outlive their process: each task is a DBOS workflow, whose journal records its actions.

An executor is one process that runs tasks. It beats while it lives; when it falls silent, another executor puts its
tasks back into the queue.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from dbos import DBOS, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_error

from agents.answer import Step, TaskStatus
from agents.durable.heartbeat import Heartbeat
from agents.durable.journal import DurableJournal, RecordedAction, recorded_steps
from agents.durable.task_rows import TaskRows
from agents.task.actions import Done
from agents.task.journal import Journal
from lakehouse.storage.database import Database

AT_ONCE = 4  # tasks that one executor runs at a time: a replica on a CPU answers four at once as fast as one
QUEUE = "tasks"
QUEUE_POLL_S = 0.5
BEAT_S = 2.0
PURGE_S = 60.0  # between two looks for tasks that were kept long enough
SILENT_S = 10.0  # five beats: a busy machine misses one or two
LOOK_S = 1.0  # between two looks for tasks that were cancelled through another gateway
CANCEL_S = 10.0  # to write the cost of a call that was cut off, on a busy disk
LIVES = 5  # a task that took so many processes with it is not tried again
KEPT = timedelta(days=1)  # an ended task, as long as an answer is kept under its Idempotency-Key
THREADS = 64  # DBOS's are the whole loop's: searches that wait for a hung Milvus must not hold up a key check

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
    """A durable task at this moment; it has a `result` when it is done, an `error` when it failed."""

    status: TaskStatus
    request: str
    created_at: datetime
    steps: list[Step]
    result: str | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Run:
    """A task that runs in this process."""

    work: asyncio.Task[Any]
    journal: DurableJournal
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def cancel(self) -> None:
        """Stop the task for good, in the middle of an action."""
        if not self.journal.cancelled:
            self.journal.cancelled = True
            self.work.cancel()


class Executor:
    """Runs durable tasks; one per process, started on the event loop that runs the tasks.

    `work` gets a task's id, its request (a text, for it is stored) and its journal; it returns the task's result.
    """

    def __init__(self, database: Database, work: Callable[[str, str, Journal], Awaitable[str]]) -> None:
        self._heartbeat = Heartbeat(database, f"executor_{uuid.uuid4().hex[:12]}", SILENT_S)
        self._rows = TaskRows(database)
        self._work = work
        self._running: dict[str, _Run] = {}
        self._watches: list[asyncio.Task[None]] = []
        DBOS(
            config={
                "name": "lakehop",
                "system_database_url": database.engine.url.render_as_string(hide_password=False),
                "system_database_engine": database.engine,
                "executor_id": self._heartbeat.executor_id,
                # Any version resumes a task that another version began; where it cannot, the task fails and says so.
                "application_version": "1",
                "max_executor_threads": THREADS,
                "log_level": "ERROR",
            }
        )

        @DBOS.workflow(name="task")
        async def workflow(task_id: str, request: str) -> str:
            return await self._run(task_id, request)

        self.workflow = workflow

    async def start(self) -> None:
        """Begin to run tasks: queued tasks, and tasks of dead executors."""
        DBOS.launch()  # here and not in a thread: DBOS runs workflows on the loop that it is launched on
        await DBOS.register_queue_async(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=QUEUE_POLL_S)
        await asyncio.to_thread(self._heartbeat.beat)
        look = partial(self._stop_cancelled, asyncio.get_running_loop())
        repeated = ((LOOK_S, look), (BEAT_S, self._take_over), (PURGE_S, self._purge))
        self._watches = [asyncio.create_task(_every(seconds, work)) for seconds, work in repeated]

    async def stop(self) -> None:
        """Leave the running tasks to the next executor."""
        for watch in self._watches:
            watch.cancel()
        running = [run.work for run in self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(self._heartbeat.end, [self._heartbeat.executor_id])
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # DBOS's own has ended with it

    async def submit(self, task_id: str, request: str) -> None:
        """Queue a task; it is stored when this returns. A second task of the same id changes nothing."""
        with SetWorkflowID(task_id):
            await DBOS.enqueue_workflow_async(QUEUE, self.workflow, task_id, request)

    async def state(self, task_id: str) -> TaskState | None:
        """The state of a task; None for an unknown task and for a task that was deleted."""
        status = await DBOS.get_workflow_status_async(task_id)
        if status is None or not status.input:
            return None
        return _state(status, await asyncio.to_thread(self._recorded_actions, task_id))

    async def cancel(self, task_id: str) -> None:
        """Stop a task wherever it runs, within about a second; an ended task stays as it is.

        Where it runs here, this returns when it has cleaned up.
        """
        await asyncio.to_thread(self._rows.cancel, task_id)  # first: see `agents.durable.task_rows`
        await DBOS.cancel_workflow_async(task_id)
        if run := self._running.get(task_id):
            run.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(run.ended.wait(), CANCEL_S)

    async def _run(self, task_id: str, request: str) -> str:
        """The workflow of a task: once more from its beginning, with the results of what is recorded."""
        beginning = await asyncio.to_thread(self._rows.begin, task_id)
        if beginning.cancelled:
            await asyncio.to_thread(Context().run, DBOS.cancel_workflow, task_id)
            raise dbos_error.DBOSWorkflowCancelledError(f"task {task_id} was cancelled")
        if beginning.runs > LIVES:
            raise RuntimeError(f"the task was begun {LIVES} times, and each time its process died")
        current = asyncio.current_task()
        assert current
        earlier = await asyncio.to_thread(self._rows.earlier_actions, task_id)
        before = await asyncio.to_thread(recorded_steps, task_id)
        run = _Run(current, DurableJournal([*earlier, *before.actions], before.last_number))
        self._running[task_id] = run
        try:
            return await self._work(task_id, request, run.journal)
        finally:
            if self._running.get(task_id) is run:  # else this process has begun the task anew
                del self._running[task_id]
            run.ended.set()

    def _recorded_actions(self, task_id: str) -> list[RecordedAction]:
        try:
            return [*self._rows.earlier_actions(task_id), *recorded_steps(task_id).actions]
        except RuntimeError:  # of another release: its run fails and says so, and a look at the task does not
            return []

    def _stop_cancelled(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop the tasks that run here and were cancelled through another gateway."""
        if running := dict(self._running):
            for task in DBOS.list_workflows(
                workflow_ids=[*running], status="CANCELLED", load_input=False, load_output=False
            ):
                loop.call_soon_threadsafe(running[task.workflow_id].cancel)

    def _take_over(self) -> None:
        """Put the tasks of silent executors back into the queue."""
        self._heartbeat.beat()
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        silent = self._heartbeat.silent({task.executor_id for task in pending if task.executor_id})
        if not silent or not self._heartbeat.leads():
            return
        for executor_id in silent:
            tasks = DBOS.list_workflows(status="PENDING", executor_id=executor_id, load_input=False, load_output=False)
            for task in tasks:
                DBOS.resume_workflow(task.workflow_id, queue_name=QUEUE)
            log.warning("%s fell silent; %d of its tasks are in the queue again", executor_id, len(tasks))
        self._heartbeat.end(silent)

    def _purge(self) -> None:
        """Delete the tasks that ended long enough ago."""
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            completed_before=(datetime.now(UTC) - KEPT).isoformat(),
            load_input=False,
            load_output=False,
        )
        if task_ids := [task.workflow_id for task in ended]:
            self._rows.forget(task_ids)
            DBOS.delete_workflows(task_ids)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    """Do the work in a thread, again and again, also after a failure."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(work)
        except Exception:
            log.exception("the database of durable tasks does not answer")


def _state(status: WorkflowStatus, actions: list[RecordedAction]) -> TaskState:
    error = status.error
    if status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":  # DBOS counted in the previous release
        error = RuntimeError(f"the task was begun {LIVES} times, and each time its process died")
    assert status.input
    return TaskState(
        status=_STATUSES[status.status],
        request=status.input["args"][1],
        created_at=datetime.fromtimestamp((status.created_at or 0) / 1000, UTC),
        steps=[done.step for action in actions if isinstance(action.result, tuple) for done in _done(action.result[0])],
        result=status.output if status.status == "SUCCESS" else None,
        error=error,
    )


def _done(result: Any) -> list[Done]:
    """The actions that a result holds; a look-up is no action."""
    return [item for item in (result if isinstance(result, list) else [result]) if isinstance(item, Done)]

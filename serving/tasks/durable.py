"""Durable tasks of /tasks: stored when they are submitted, resumed after a crash, cancelled on demand.

The money of a task is held when it is submitted, by the same ledger and under the same caps as for /ask. It is settled
when the task ends, in whichever process. The key that submitted a task may see it, and so may operators.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, TypeAdapter

from agents.answer import Answer, Step, TaskStatus
from agents.task.journal import Journal, new_task_id
from lakehouse.access.ledger import Key
from lakehouse.errors import NotFound
from serving.contract.bodies import AskBody
from serving.contract.errors import KeyReused
from serving.contract.problems import Problem, problem_of
from serving.tasks.admission import Admitted
from serving.tasks.idempotency import check_idempotency_key
from serving.tasks.paid import Tasks

if TYPE_CHECKING:  # see serving.gateway: its supervisor process stays light
    from agents.durable.executor import Executor, TaskState

# The hold outlasts the time cap by this much: a task waits in the queue, or for another process to take it over.
WAITS_S = 900


class TaskView(BaseModel):
    """A durable task at this moment."""

    task_id: str
    status: TaskStatus = Field(description="done: `answer` says how; failed: `problem` says why.")
    question: str
    program: str
    created_at: str = Field(description="When it was handed in, UTC.")
    steps: list[Step] = Field(description="What it has done so far, in the order in which it ended.")
    answer: Answer | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class Handed:
    """The stored request of a task: the body that was sent, and the money that is held."""

    body: str
    admitted: Admitted


HANDED = TypeAdapter(Handed)


class DurableTasks:
    """Submits tasks to the executor and looks them up."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._executor: Executor | None = None

    def attach(self, executor: "Executor") -> None:
        """Set the executor, which runs tasks by calling `work`."""
        self._executor = executor

    async def submit(self, key: Key, body: AskBody, idempotency_key: str | None) -> TaskView:
        """Submit a task; under an `idempotency_key` once, however often it is sent. Raises the errors of admission."""
        task_id = new_task_id() if idempotency_key is None else _task_id(key, idempotency_key)
        if idempotency_key is not None and (before := await self.executor.state(task_id)):
            return _same(task_id, before, body, idempotency_key)
        handed = Handed(body.identity(), await self._tasks.admit(key, body, WAITS_S))
        await self.executor.submit(task_id, HANDED.dump_json(handed).decode())
        state = await self.executor.state(task_id)
        assert state
        if _handed(state) != handed:  # the same request came twice at once, and the other request was first
            await asyncio.to_thread(self._tasks.release, handed.admitted)
            return _same(task_id, state, body, idempotency_key or "")
        return _view(task_id, state)

    async def get(self, key: Key, task_id: str) -> TaskView:
        """Look up a task. Raises `NotFound` for an unknown task and for another key's task."""
        return _view(task_id, await self._own(key, task_id))

    async def cancel(self, key: Key, task_id: str) -> TaskView:
        """Stop a task; its spend is settled. An ended task stays as it is."""
        await self._own(key, task_id)
        await self.executor.cancel(task_id)
        return await self.get(key, task_id)

    async def work(self, task_id: str, request: str, journal: Journal) -> str:
        """Run a task for the executor: from its beginning, or with what another process recorded."""
        admitted = HANDED.validate_json(request).admitted
        answer = await self._tasks.work(admitted, journal=journal, task_id=task_id)
        return answer.model_dump_json()

    @property
    def executor(self) -> "Executor":
        if self._executor is None:
            raise RuntimeError("the gateway has not started")
        return self._executor

    async def _own(self, key: Key, task_id: str) -> "TaskState":
        state = await self.executor.state(task_id)
        if state and (key.operator or _handed(state).admitted.caller.key_id == key.key_id):
            return state
        raise NotFound(f"task {task_id[:80]!r}: this key has none of that id. An ended one is kept for a day.")


def _handed(state: "TaskState") -> Handed:
    return HANDED.validate_json(state.request)


def _task_id(key: Key, idempotency_key: str) -> str:
    check_idempotency_key(idempotency_key)
    return "task_" + hashlib.sha256(f"{key.key_id}\0{idempotency_key}".encode()).hexdigest()[:32]


def _same(task_id: str, state: "TaskState", body: AskBody, idempotency_key: str) -> TaskView:
    """The task of this Idempotency-Key. Raises `KeyReused` when its body is another."""
    if _handed(state).body != body.identity():
        raise KeyReused(
            f"Idempotency-Key {idempotency_key!r}: was used for another body within a day. "
            "A retry repeats the body; a new question takes a new key."
        )
    return _view(task_id, state)


def _view(task_id: str, state: "TaskState") -> TaskView:
    admitted = _handed(state).admitted
    return TaskView(
        task_id=task_id,
        status=state.status,
        question=admitted.question,
        program=admitted.program,
        created_at=state.created_at.isoformat(),
        steps=state.steps,
        answer=Answer.model_validate_json(state.result) if state.result else None,
        problem=problem_of(state.error)[0] if state.error else None,
    )

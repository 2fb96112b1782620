"""What durable tasks need beside DBOS: how often each was begun, whether it was cancelled, steps of the last release.

DBOS's `resume_workflow` hands a task over whatever its state, so a cancellation is written here before it is told DBOS:
a task that is cancelled while it is handed over is not begun again.
"""

import io
import pickle
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agents.durable.journal import RecordedAction
from lakehouse.storage.database import Database
from lakehouse.storage.relational_tables import EARLIER_STEPS, TASKS, insert_into


@dataclass(frozen=True)
class Beginning:
    """A run of a task: the number of runs with this one, and whether the task was cancelled before."""

    runs: int
    cancelled: bool


class TaskRows:
    """Our rows of durable tasks. Its methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, task_id: str) -> Beginning:
        """Count one more run of a task."""
        with self._database.write() as connection:
            insert = insert_into(TASKS, connection.dialect.name)
            count = insert.on_conflict_do_update(index_elements=[TASKS.c.task_id], set_={"runs": TASKS.c.runs + 1})
            row = connection.execute(
                count.returning(TASKS.c.runs, TASKS.c.cancelled), {"task_id": task_id, "runs": 1}
            ).one()
        return Beginning(row.runs, row.cancelled)

    def cancel(self, task_id: str) -> None:
        """Let no run of the task begin from now on."""
        with self._database.write() as connection:
            insert = insert_into(TASKS, connection.dialect.name)
            cancel = insert.on_conflict_do_update(index_elements=[TASKS.c.task_id], set_={"cancelled": True})
            connection.execute(cancel, {"task_id": task_id, "cancelled": True})

    def earlier_actions(self, task_id: str) -> list[RecordedAction]:
        """The actions of a task that the previous release recorded, in the order in which they ended."""
        select = sa.select(EARLIER_STEPS).where(EARLIER_STEPS.c.task_id == task_id).order_by(EARLIER_STEPS.c.number)
        with self._database.read() as connection:
            rows = connection.execute(select).all()
        return [RecordedAction(row.place, row.name, _EarlierUnpickler(io.BytesIO(row.gave)).load()) for row in rows]

    def forget(self, task_ids: Collection[str]) -> None:
        """Delete all rows of tasks."""
        with self._database.write() as connection:
            for table in (TASKS, EARLIER_STEPS):
                connection.execute(sa.delete(table).where(table.c.task_id.in_(task_ids)))


# Where the previous release had the classes of recorded results, and by which name where that changed.
_MOVED_MODULES = {
    "agents.about": "agents.reading.answerability",
    "agents.budget": "agents.task.budget",
    "agents.engine": "agents.llm.engine",
    "agents.loops": "agents.task.loops",
    "agents.recorder": "agents.task.actions",
    "agents.reading": "agents.reading.answerability",
    "agents.rerank": "agents.task.reranking",
    "agents.task": "agents.task.task",
    "agents.tools.connected": "agents.tools.mcp.listing",
    "agents.tools.mcp": "agents.tools.mcp.client",
    "agents.tools.runner": "agents.task.tool_calls",
    "lakehouse.index": "lakehouse.index.passages",
    "lakehouse.multihop": "lakehouse.index.passages",
    "lakehouse.passages": "lakehouse.index.passages",
}
_RENAMED_CLASSES = {"Listed": "ListedTool", "NotAbout": "SubjectMissing"}


class _EarlierUnpickler(pickle.Unpickler):
    """Reads results that the previous release pickled, from our own database."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "lakehouse.multihop" and name == "Step":
            name = "PathStep"
        return super().find_class(_MOVED_MODULES.get(module, module), _RENAMED_CLASSES.get(name, name))

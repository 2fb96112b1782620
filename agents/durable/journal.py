"""What durable tasks have done: a row an action in the tasks' database, from which the next run takes what it gave.

DBOS queues, cancels and hands over the tasks, and could keep their steps. It reads before each step and writes after it
in a transaction of its own, which was most of what a durable step took (docs/benchmarks.md). Here a run reads once, at
its beginning, and an action is one statement: it inserts its row only while DBOS still gives the task to this run.
"""

import asyncio
import itertools
import pickle
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from dbos._error import DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError

from agents.task.journal import Journal, T

_STEPS = sa.Table(
    "lakehop_steps",
    sa.MetaData(),
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),  # in the order in which they ended
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("gave", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class Kept:
    """An action that ended: where in its program it stands, the name that it was done under, what it gave, pickled."""

    place: str
    name: str
    gave: bytes


class KeptSteps:
    """The actions of all tasks, in one table beside DBOS's own. Each call is a transaction: keep it off the loop."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._tasks = sa.table(
            "workflow_status",
            *map(sa.column, ("workflow_uuid", "status", "owner_xid")),
            schema="dbos" if engine.dialect.name == "postgresql" else None,
        )
        mine = (self._tasks.c.workflow_uuid == sa.bindparam("of"), self._tasks.c.owner_xid == sa.bindparam("owner"))
        row = sa.select(*(sa.bindparam(column.name, type_=column.type) for column in _STEPS.c)).where(*mine)
        # Locked, where more than one may write at a time: a task is not handed over between the look and the row.
        self._insert = sa.insert(_STEPS).from_select([*_STEPS.c], row.with_for_update(read=True))

    def create(self) -> None:
        """Make the table where there is none."""
        with self._engine.begin() as database:
            database.execute(sa.schema.CreateTable(_STEPS, if_not_exists=True))

    def of(self, task_id: str) -> list[Kept]:
        """A task's actions, in the order in which they ended."""
        select = sa.select(_STEPS).where(_STEPS.c.task_id == task_id).order_by(_STEPS.c.number)
        with self._engine.connect() as database:
            return [Kept(row.place, row.name, row.gave) for row in database.execute(select)]

    def keep(self, task_id: str, owner: str, number: int, kept: Sequence[Kept]) -> None:
        """Put actions on disk, the first as the task's `number`-th, all or none.

        Raises DBOS's errors where the task was cancelled, or is another run's by now.
        """
        mine = {"task_id": task_id, "of": task_id, "owner": owner}
        rows = [mine | {"number": at, **vars(one)} for at, one in enumerate(kept, number)]
        with self._engine.begin() as database:
            if all(database.execute(self._insert, row).rowcount for row in rows):
                return
            status = database.scalar(sa.select(self._tasks.c.status).where(self._tasks.c.workflow_uuid == task_id))
        if status == "CANCELLED":
            raise DBOSWorkflowCancelledError(f"task {task_id} was cancelled")
        raise DBOSWorkflowConflictIDError(task_id)

    def forget(self, task_ids: Sequence[str]) -> None:
        """Delete the actions of tasks."""
        with self._engine.begin() as database:
            database.execute(sa.delete(_STEPS).where(_STEPS.c.task_id.in_(task_ids)))


@dataclass
class _Branch:
    """Names the places of the actions that follow one another: `1`, `2`; in the first of the parts beside, `3.0.1`."""

    prefix: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def next(self) -> str:
        return f"{self.prefix}{next(self._numbers)}"


_branch: ContextVar[_Branch | None] = ContextVar("branch", default=None)


class DurableJournal(Journal):
    """Of one run of a task, to which DBOS gave `owner`: an action that ended is on disk before anything follows.

    An action has its place in the program, which does not depend on what comes first of several things side by side.
    """

    def __init__(self, steps: KeptSteps, task_id: str, owner: str, before: Sequence[Kept]) -> None:
        """`before`: what the runs before this one have kept."""
        self.cancelled = False
        """Whether the task was cancelled, and not only its run."""
        self._steps = steps
        self._task_id = task_id
        self._owner = owner
        self._before = {kept.place: kept for kept in before}
        self._number = len(before) + 1
        self._looked: list[Kept] = []
        self._one_at_a_time = asyncio.Lock()
        self._trunk = _Branch()

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        place = self._here().next()
        if before := self._kept(place, name):
            return gave(before)
        result = await work()
        # Shielded: a sub-task that is cancelled now has done the action all the same.
        await asyncio.shield(self._keep(Kept(place, name, pickle.dumps(result))))
        return result

    def look(self, name: str, look: Callable[[], T]) -> T:
        place = self._here().next()
        if before := self._kept(place, name):
            return gave(before)
        seen = look()
        self._looked.append(Kept(place, name, pickle.dumps(seen)))
        return seen

    def branches(self, count: int) -> Sequence[AbstractContextManager[None]]:
        place = self._here().next()
        return [_entered(_Branch(f"{place}.{part}.")) for part in range(count)]

    def goes_on(self, end: BaseException) -> bool:
        """A process that stops cancels what runs in it; one that was taken for dead finds that another goes on."""
        if isinstance(end, asyncio.CancelledError):
            return not self.cancelled
        return isinstance(end, DBOSWorkflowConflictIDError)

    def _here(self) -> _Branch:
        return _branch.get() or self._trunk

    def _kept(self, place: str, name: str) -> Kept | None:
        before = self._before.get(place)
        if before and before.name != name:
            raise RuntimeError(f"the task did {before.name!r} where it now does {name!r}. Hand it in anew.")
        return before

    async def _keep(self, kept: Kept) -> None:
        async with self._one_at_a_time:  # what was looked up is on disk before a second action that follows from it
            rows, self._looked = [*self._looked, kept], []
            number, self._number = self._number, self._number + len(rows)
            await asyncio.to_thread(self._steps.keep, self._task_id, self._owner, number, rows)


def gave(kept: Kept) -> Any:
    """What an action gave."""
    return pickle.loads(kept.gave)  # noqa: S301  from our own database, as DBOS reads what it keeps


@contextmanager
def _entered(branch: _Branch) -> Iterator[None]:
    token = _branch.set(branch)
    try:
        yield
    finally:
        _branch.reset(token)

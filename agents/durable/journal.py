"""The journal of a durable task: each action is recorded as a DBOS step, and the task's next run takes its result.

DBOS numbers steps in the order in which they end, and that order is chance where parts of a program run side by side.
So each recorded action has its place in the program too. A run reads all steps once, at its beginning, takes results by
place, and records new actions under numbers that no earlier run used.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from dbos import DBOS, StepOptions
from dbos import error as dbos_error

from agents.task.journal import Journal, T


@dataclass(frozen=True)
class RecordedAction:
    """An action that ended: its place in the program, the name it was done under, its result."""

    place: str
    name: str
    result: Any


@dataclass(frozen=True)
class RecordedSteps:
    """What DBOS has of a task: the actions in the order in which they ended, and the number of the newest step."""

    actions: list[RecordedAction]
    last_number: int


def recorded_steps(task_id: str) -> RecordedSteps:
    """Read the steps of a task; blocks. Raises `RuntimeError` for a step that this release cannot read."""
    # Within a task's own context, DBOS would record the reading as one more step of that task.
    steps = Context().run(DBOS.list_workflow_steps, task_id)
    actions = []
    for step in steps:
        if not isinstance(step["output"], list):  # DBOS gives the stored text where it cannot unpickle it
            raise RuntimeError(f"step {step['function_name']!r} is of another release. Hand the task in anew.")
        actions += [RecordedAction(*action) for action in step["output"]]
    return RecordedSteps(actions, max((step["function_id"] for step in steps), default=0))


@dataclass
class _Branch:
    """Names the places of actions that follow one another: `1`, `2`; in the first of parallel parts, `3.0.1`."""

    prefix: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def next(self) -> str:
        return f"{self.prefix}{next(self._numbers)}"


_branch: ContextVar[_Branch | None] = ContextVar("branch", default=None)


class DurableJournal(Journal):
    """The journal of one run of a task: the record of an action is on disk before anything follows from the action.

    Make it in the DBOS workflow of the run. The place of an action does not depend on which parallel part is faster.
    """

    def __init__(self, before: Sequence[RecordedAction], last_number: int = 0) -> None:
        """`before`: actions of earlier runs; `last_number`: the number of their newest DBOS step."""
        self.cancelled = False
        """Whether the task was cancelled, and not only its run."""
        self._before = {action.place: action for action in before}
        self._looked: list[RecordedAction] = []
        self._one_at_a_time = asyncio.Lock()
        self._trunk = _Branch()
        self._workflow = copy_context()  # DBOS finds the workflow by it, also where a tool has a context of its own
        while last_number and DBOS.reserve_step().step_id < last_number:
            pass

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        place = self._here().next()
        if before := self._recorded(place, name):
            return before.result
        result = await work()
        record = self._record(RecordedAction(place, name, result))
        # Shielded: a sub-task that is cancelled now has done the action all the same.
        await asyncio.shield(asyncio.get_running_loop().create_task(record, context=self._workflow))
        return result

    def look(self, name: str, look: Callable[[], T]) -> T:
        place = self._here().next()
        if before := self._recorded(place, name):
            return before.result
        seen = look()
        self._looked.append(RecordedAction(place, name, seen))
        return seen

    def branches(self, count: int) -> Sequence[AbstractContextManager[None]]:
        place = self._here().next()
        return [_entered(_Branch(f"{place}.{part}.")) for part in range(count)]

    def goes_on(self, end: BaseException) -> bool:
        """A process that stops cancels its runs; a run that was taken over finds that DBOS refuses its records."""
        if isinstance(end, asyncio.CancelledError):
            return not self.cancelled
        return isinstance(end, dbos_error.DBOSWorkflowConflictIDError)

    def _here(self) -> _Branch:
        return _branch.get() or self._trunk

    def _recorded(self, place: str, name: str) -> RecordedAction | None:
        before = self._before.get(place)
        if before and before.name != name:
            raise RuntimeError(f"the task did {before.name!r} where it now does {name!r}. Hand it in anew.")
        return before

    async def _record(self, action: RecordedAction) -> None:
        """Raises DBOS's errors when the task was cancelled, or when another run has it."""
        async with self._one_at_a_time:  # a look is on disk before a second action that follows from it
            actions, self._looked = [*self._looked, action], []
            step = StepOptions(name=action.name)
            await DBOS.run_step_async(step, lambda: [(a.place, a.name, a.result) for a in actions])


@contextmanager
def _entered(branch: _Branch) -> Iterator[None]:
    token = _branch.set(branch)
    try:
        yield
    finally:
        _branch.reset(token)

"""The plan of a team: sub-tasks, each with a role and the sub-tasks that it waits for. Checked before anything runs.

A model writes it, so it can be anything: a circle, a role that nobody has, two hundred sub-tasks. What is wrong is said
in words that the model can mend it by.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from agents.prompting.constraints import in_words
from agents.task.journal import Journal
from agents.task.purpose import sub_task

MAX_SUB_TASKS = 12  # three rounds of the widest fan-out; a longer plan is a model that does not stop
_SPELLED = re.compile(r"(?:(?<=\{)|(?<=\{each ))\w+(?=\})")
Role = Literal["researcher", "analyst", "coder", "connector", "critic"]


class SubTask(BaseModel, extra="forbid", frozen=True):
    """One question for one role. `{id}` in it stands for what the sub-task of that id found, `{each id}` for each name
    in that."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")
    role: Role
    question: str = Field(min_length=1, max_length=300, json_schema_extra=in_words(40))
    needs: tuple[str, ...] = Field((), max_length=MAX_SUB_TASKS)

    def spelled(self) -> list[str]:
        """What has a place in the question, ids of sub-tasks and anything else in such braces."""
        return _SPELLED.findall(self.question)


class Plan(BaseModel, extra="forbid", frozen=True):
    """A dependency graph of sub-tasks."""

    tasks: tuple[SubTask, ...] = Field(min_length=1, max_length=MAX_SUB_TASKS)

    @property
    def combines(self) -> bool:
        """Whether several findings meet, in a sub-task or in the answer; else it is a chain of look-ups."""
        return len(self.last()) > 1 or any(len(task.needs) > 1 for task in self.tasks)

    def last(self) -> list[SubTask]:
        """Those that no other waits for, critics aside: their findings are the answer's."""
        found = [task for task in self.tasks if task.role != "critic"]
        needed = {need for task in found for need in task.needs}
        return [task for task in found if task.id not in needed]


class PlanRefused(Exception):
    """The plan cannot be carried out; the text says why and what is allowed."""


def read_plan(text: str, *, roles: Collection[str], max_depth: int, taken: Collection[str] = ()) -> Plan:
    """The plan that a model wrote as JSON, each sub-task under an id of its own, none of those that are taken, and in
    need of what its question spells. Raises PlanRefused for one that cannot be carried out."""
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "plan"
        raise PlanRefused(f"{place}: {first['msg'][:120]}. 1 to {MAX_SUB_TASKS} tasks, as in the examples.") from None
    plan = _with_spelled_needs(_with_own_ids(plan, taken))
    needs = {task.id: task.needs for task in plan.tasks}
    for task in plan.tasks:
        if task.role not in roles:
            raise PlanRefused(f"{task.id}: role {task.role!r} is not to be had now. There are {', '.join(roles)}.")
        if unknown := [need for need in task.needs if need not in needs]:
            raise PlanRefused(f"{task.id}: needs {unknown[0][:20]!r}, which is no task. There are {', '.join(needs)}.")
    if (depth := _depth(needs)) > max_depth:
        raise PlanRefused(f"{depth} tasks wait for one another, at most {max_depth} may. Let more run side by side.")
    return plan


async def carry_out(plan: Plan, max_fan_out: int, work: Callable[[SubTask], Awaitable[None]], journal: Journal) -> None:
    """Do each sub-task once those that it needs have ended, so many at a time. The first error ends all."""
    gate, ended = asyncio.Semaphore(max_fan_out), {task.id: asyncio.Event() for task in plan.tasks}

    async def do(task: SubTask, branch: AbstractContextManager[None]) -> None:
        for need in task.needs:
            await ended[need].wait()
        async with gate:
            sub_task.set(task.id)  # for this sub-task alone: `do` runs as a task of asyncio's, in a context of its own
            with branch:
                await work(task)
        ended[task.id].set()

    running = [
        asyncio.create_task(do(task, branch))
        for task, branch in zip(plan.tasks, journal.branches(len(plan.tasks)), strict=True)
    ]
    try:
        finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    for one in finished:
        one.result()


def _with_own_ids(plan: Plan, taken: Collection[str]) -> Plan:
    """A small model calls by one id what its names begin with alike. As of a variable that is set again, what follows
    means the last of that id."""
    used = {*taken, *(task.id for task in plan.tasks)}
    meant: dict[str, str] = {}
    tasks = []
    for task in plan.tasks:
        question = _SPELLED.sub(lambda id: meant.get(id[0], id[0]), task.question)
        needs = tuple(meant.get(need, need) for need in task.needs)
        id = task.id
        if id in meant or id in taken:
            id = next(new for number in count(2) if (new := f"{id[:13]}{number}") not in used)
        used.add(id)
        meant[task.id] = id
        tasks.append(task.model_copy(update={"id": id, "question": question, "needs": needs}))
    return Plan(tasks=tuple(tasks))


def _with_spelled_needs(plan: Plan) -> Plan:
    """A small model forgets to say what its own words wait for; what they spell that is no sub-task is left as text."""
    ids = {task.id for task in plan.tasks}

    def needs(task: SubTask) -> tuple[str, ...]:
        spelled = [id for id in task.spelled() if id in ids]
        return tuple(dict.fromkeys((*task.needs, *spelled)))

    return Plan(tasks=tuple(task.model_copy(update={"needs": needs(task)}) for task in plan.tasks))


def _depth(needs: Mapping[str, Collection[str]]) -> int:
    """The longest chain of sub-tasks that wait for one another. Raises PlanRefused for a circle."""
    depths: dict[str, int] = {}
    try:
        for task in TopologicalSorter(needs).static_order():
            depths[task] = 1 + max((depths[need] for need in needs[task]), default=0)
    except CycleError as error:
        raise PlanRefused(f"{' waits for '.join(error.args[1])}: a circle. Take one of the needs out.") from None
    return max(depths.values())

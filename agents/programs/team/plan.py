"""The plan of a team: sub-tasks, each with a role and the sub-tasks that it waits for; checked before anything runs.

A model writes the plan, so it may hold anything: a circle, an unknown role, two hundred sub-tasks. A refusal tells the
model what to change.
"""

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from agents.programs.team.places import ids_in, with_new_ids
from agents.prompting.constraints import in_words

MAX_SUB_TASKS = 12  # three rounds of the widest fan-out; a model that writes more does not stop
Role = Literal["researcher", "analyst", "coder", "connector", "critic"]


class SubTask(BaseModel, extra="forbid", frozen=True):
    """One question for one role. Findings of the sub-tasks that it needs fill the places in its question."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")
    role: Role
    question: str = Field(min_length=1, max_length=300, json_schema_extra=in_words(40))
    needs: tuple[str, ...] = Field((), max_length=MAX_SUB_TASKS)

    def ids_in_question(self) -> list[str]:
        """The ids in the question's places; a model may write ids of no sub-task."""
        return ids_in(self.question)


class Plan(BaseModel, extra="forbid", frozen=True):
    """A dependency graph of sub-tasks."""

    tasks: tuple[SubTask, ...] = Field(min_length=1, max_length=MAX_SUB_TASKS)

    @property
    def combines(self) -> bool:
        """Whether several findings meet in a sub-task or in the answer; otherwise the plan is a chain of look-ups."""
        return len(self.last()) > 1 or any(len(task.needs) > 1 for task in self.tasks)

    def last(self) -> list[SubTask]:
        """The sub-tasks whose findings make the answer: no other waits for them, and they are no critics."""
        tasks = [task for task in self.tasks if task.role != "critic"]
        needed = {need for task in tasks for need in task.needs}
        return [task for task in tasks if task.id not in needed]


class PlanRefused(Exception):
    """The plan cannot be carried out; the text says why, and what is allowed."""


def read_plan(text: str, *, roles: Collection[str], max_depth: int, taken: Collection[str] = ()) -> Plan:
    """The plan that a model wrote as JSON. Raises PlanRefused for a plan that cannot be carried out.

    Repeated ids, and ids in `taken`, are replaced by new ones. A sub-task needs the ids in its question's places.
    """
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "plan"
        raise PlanRefused(f"{place}: {first['msg'][:120]}. 1 to {MAX_SUB_TASKS} tasks, as in the examples.") from None
    plan = _with_needs_of_places(_with_unique_ids(plan, taken))
    needs = {task.id: task.needs for task in plan.tasks}
    for task in plan.tasks:
        if task.role not in roles:
            raise PlanRefused(f"{task.id}: role {task.role!r} is not to be had now. There are {', '.join(roles)}.")
        if unknown := [need for need in task.needs if need not in needs]:
            raise PlanRefused(f"{task.id}: needs {unknown[0][:20]!r}, which is no task. There are {', '.join(needs)}.")
    if (depth := _depth(needs)) > max_depth:
        raise PlanRefused(f"{depth} tasks wait for one another, at most {max_depth} may. Let more run side by side.")
    return plan


def _with_unique_ids(plan: Plan, taken: Collection[str]) -> Plan:
    """Models reuse an id. Rename duplicates; later references mean the most recent one."""
    used = {*taken, *(task.id for task in plan.tasks)}
    new_ids: dict[str, str] = {}
    tasks = []
    for task in plan.tasks:
        question = with_new_ids(task.question, new_ids)
        needs = tuple(new_ids.get(need, need) for need in task.needs)
        id = task.id
        if id in new_ids or id in taken:
            id = next(new for number in count(2) if (new := f"{id[:13]}{number}") not in used)
        used.add(id)
        new_ids[task.id] = id
        tasks.append(task.model_copy(update={"id": id, "question": question, "needs": needs}))
    return Plan(tasks=tuple(tasks))


def _with_needs_of_places(plan: Plan) -> Plan:
    """Models forget to list the sub-tasks that their questions refer to. An id of no sub-task stays as text."""
    ids = {task.id for task in plan.tasks}

    def needs(task: SubTask) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*task.needs, *(id for id in task.ids_in_question() if id in ids))))

    return Plan(tasks=tuple(task.model_copy(update={"needs": needs(task)}) for task in plan.tasks))


def _depth(needs: Mapping[str, Collection[str]]) -> int:
    """The length of the longest chain of sub-tasks that wait for one another. Raises PlanRefused for a circle."""
    depths: dict[str, int] = {}
    try:
        for task in TopologicalSorter(needs).static_order():
            depths[task] = 1 + max((depths[need] for need in needs[task]), default=0)
    except CycleError as error:
        raise PlanRefused(f"{' waits for '.join(error.args[1])}: a circle. Take one of the needs out.") from None
    return max(depths.values())

"""The roles of a team and their specialists.

To add a role: a class with `find`, a line in `ROLES` and in `specialists`, and its name in
`agents.programs.team.plan.Role`.
"""

from collections.abc import Sequence
from typing import Protocol

from agents.programs.team.critic import Critic
from agents.programs.team.findings import Finding
from agents.programs.team.researcher import Researcher
from agents.programs.team.tool_users import Connector, ToolUser, WriteCode, WriteSql
from agents.task.task import Task
from agents.tools.sql import tables_to_ask

DESCRIPTION_CHARACTERS = 80  # of each tool of a connected server, in the planner's prompt
ROLES = {
    "researcher": "finds a fact in the documents",
    "analyst": "asks the tables of costs, tasks and runs",
    "coder": "works out numbers, dates and lists in Python",
    "connector": "asks other systems by these tools",
    "critic": "says whether findings hold together",
}
TOOL_OF = {"analyst": "sql", "coder": "python"}
"""The tool that a role needs; while the tool is away, the role is not offered to the planner."""


class Specialist(Protocol):
    """Answers the sub-questions of one role."""

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        """Answer the question of sub-task `id`. `known`: other findings, as `id: finding`. Raises NothingFound."""
        ...


def specialists() -> dict[str, Specialist]:
    """A specialist for each role."""
    return {
        "researcher": Researcher(),
        "analyst": ToolUser(WriteSql, "analyst", "sql", tables=tables_to_ask()),
        "coder": ToolUser(WriteCode, "coder", "python"),
        "connector": Connector(),
        "critic": Critic(),
    }


async def available_roles(task: Task) -> dict[str, str]:
    """The roles whose tools are available now, with what each does."""
    away = await task.tools.away()
    roles = {role: does for role, does in ROLES.items() if TOOL_OF.get(role) not in away}
    tools = "; ".join(
        f"{tool.name}, {tool.description[:DESCRIPTION_CHARACTERS]}" for tool in task.tools.connected(away)
    )
    if not tools:
        del roles["connector"]
        return roles
    return roles | {"connector": f"{roles['connector']}: {tools}"}

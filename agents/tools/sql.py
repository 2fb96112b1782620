"""Read-only SQL over the lakehouse, as a tool: rows of the caller's tenant only, with the rights of a search.

Not the statement, which a model writes, is restricted, but the rows that reach the engine: see
`lakehouse.analytics.sql.QueryScope`.
"""

import asyncio
import json
from typing import Any

from pydantic import BaseModel, Field

from agents.tools.contract import Tool, ToolContext, ToolResult
from lakehouse.access.permissions import acl_directory
from lakehouse.analytics.gold import VIEWS
from lakehouse.analytics.sql import QueryScope, run_query

MAX_ROWS = 50  # more than a model reads, and enough to show that a question should be narrower
SECONDS = 10.0


class Statement(BaseModel, extra="forbid"):
    """Arguments of `sql`."""

    statement: str = Field(description="one SELECT", min_length=1, max_length=2_000)


async def _run(given: Statement, context: ToolContext) -> ToolResult:
    rows = await asyncio.to_thread(_rows, given.statement, context)
    if not rows:
        return ToolResult("No rows.", empty=True)
    return ToolResult("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))


def _rows(statement: str, context: ToolContext) -> list[dict[str, Any]]:
    caller = context.caller
    allowed = acl_directory(context.settings).allowed_keys(caller.tenant_id, caller.groups)
    scope = QueryScope(caller.tenant_id, allowed, max_rows=MAX_ROWS, max_seconds=min(SECONDS, context.seconds))
    return run_query(context.settings, statement, scope).rows


def tables_to_ask() -> list[str]:
    """The analysts' views with their columns, for a model that writes SQL."""
    return [f"{view.name}({', '.join(column.name for column in view.columns)})" for view in VIEWS]


SQL = Tool(
    name="sql",
    description="Ask the lakehouse one SELECT about tasks, costs, runs and documents of the asker's tenant.",
    arguments=Statement,
    run=_run,
    timeout_s=SECONDS + 5,  # the query is interrupted before that
    trust="strangers",
)

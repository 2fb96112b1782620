"""Tools of an MCP server, as tools of ours: what it says is a stranger's text, and it may hang, die or lie.

The connection lives in a thread with an event loop of its own, so that nothing that a server sends can hold up the
tasks of others. It is opened by the first call, and given up after any that failed: the next one starts anew, and a
server that hung is killed with its process.
"""

import asyncio
import re
import threading
from collections.abc import Mapping
from typing import Any

from mcp import Client, StdioServerParameters
from mcp_types import RequestParamsMeta
from pydantic import BaseModel, ConfigDict, Field, create_model

from agents.tools.contract import Retry, Tool, ToolContext, ToolFailed, ToolResult

START_S = 20.0  # an interpreter with its imports, on a busy machine
DESCRIPTION_CHARACTERS = 300  # a server's own words stand in our prompts
MAX_TOOLS = 32
_NAME = re.compile(r"[A-Za-z][\w-]{0,47}")
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
}


class McpServer:
    """One server: a command to start (`StdioServerParameters`) or the address of one that runs. Close it at the end.

    `read_only` names the tools that change nothing. All others count as having side effects, whatever the server says
    of them: they are called once, and never after the task has read what strangers wrote.
    """

    def __init__(
        self,
        name: str,
        server: StdioServerParameters | str,
        *,
        read_only: frozenset[str] = frozenset(),
        timeout_s: float = 20.0,
    ) -> None:
        self._name = name
        self._server = server
        self._read_only = read_only
        self._timeout_s = timeout_s
        self._opening = asyncio.Lock()
        self._connection: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"mcp-{name}", daemon=True)
        self._thread.start()

    def tools(self) -> tuple[Tool, ...]:
        """What the server offers now; blocking. Raises what the connection raises, TimeoutError."""
        listed = asyncio.run_coroutine_threadsafe(self._list(), self._loop).result(START_S)
        return tuple(self._tool(one) for one in listed[:MAX_TOOLS] if _NAME.fullmatch(one.name))

    def close(self) -> None:
        """End the connection, and the server's process where we started it."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _tool(self, listed: Any) -> Tool:
        async def run(given: BaseModel, context: ToolContext) -> ToolResult:
            arguments = given.model_dump(mode="json", exclude_unset=True)
            calling = asyncio.run_coroutine_threadsafe(self._call(listed.name, arguments, context), self._loop)
            return ToolResult(await asyncio.wrap_future(calling))

        changes_nothing = listed.name in self._read_only
        return Tool(
            name=f"{self._name}_{listed.name}",
            description=" ".join((listed.description or listed.name).split())[:DESCRIPTION_CHARACTERS],
            arguments=arguments_of(listed.name, listed.input_schema),
            run=run,
            timeout_s=self._timeout_s,
            effects="none" if changes_nothing else "side effects",
            retry=Retry(attempts=2),
            trust="strangers",
        )

    async def _list(self) -> list[Any]:
        client = await self._connected()
        return list((await client.list_tools()).tools)

    async def _call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> str:
        try:
            client = await self._connected()
            meta = RequestParamsMeta(idempotency_key=context.idempotency_key)  # type: ignore[typeddict-unknown-key]
            found = await client.call_tool(name, arguments, meta=meta)
        except BaseException:
            await self._drop()
            raise
        text = "\n".join(getattr(part, "text", f"({part.type})") for part in found.content)
        if found.is_error:
            raise ToolFailed(f"{self._name}_{name}: {text[:300]}. Call it otherwise, or do without it.")
        return text

    async def _connected(self) -> Client:
        async with self._opening:
            if self._client is None:
                opened: asyncio.Future[Client] = self._loop.create_future()
                self._connection = self._loop.create_task(self._hold_open(opened))
                self._client = await opened
            return self._client

    async def _hold_open(self, opened: "asyncio.Future[Client]") -> None:
        """A connection must be closed by the task that opened it, so one task holds it as long as it lives."""
        try:
            async with Client(self._server) as client:
                opened.set_result(client)
                await asyncio.Event().wait()
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)

    async def _drop(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection:
            connection.cancel()
            await asyncio.wait({connection})


def arguments_of(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """The input model of a server's JSON schema: names, types and which are required. The server checks the rest."""
    required = set(schema.get("required") or ())
    fields: dict[str, Any] = {}
    for field, declared in (schema.get("properties") or {}).items():
        declared = declared if isinstance(declared, Mapping) else {}
        kind = _TYPES.get(str(declared.get("type")), Any)
        about = str(declared.get("description") or "")[:DESCRIPTION_CHARACTERS]
        if not field.isidentifier() or field.startswith("_"):
            continue  # pydantic has no such field, and no model spells it
        known = Field(description=about) if field in required else Field(None, description=about)
        fields[field] = (kind if field in required else kind | None, known)
    return create_model(f"Arguments_{name}", __config__=ConfigDict(extra="forbid"), **fields)

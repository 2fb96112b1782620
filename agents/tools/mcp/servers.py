"""The MCP servers of the settings: which tools each offers now, to callers that may use it.

A server is asked for its tools when the gateway starts and again every few minutes, beside the tasks. While a server
does not answer, tasks go on without its tools: no server can hold up the start or a question.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from agents.tools.breaker import AWAY_S
from agents.tools.contract import Tool
from agents.tools.mcp.listing import START_S, ListedTool, ToolServer
from lakehouse.access.mcp_servers import McpServerSettings
from lakehouse.access.permissions import Caller

FRESH_S = 300.0  # a server's tools change with its releases
WAIT_S = 5.0  # for the first list of a server; most start within a second or two

log = logging.getLogger("lakehop.mcp")


class McpServers:
    """One per process, used on one event loop; `close` it at the end."""

    def __init__(self, servers: Sequence[McpServerSettings] = ()) -> None:
        self._servers = _connections(servers) if servers else {}
        # Not a cache with a lifetime: a list stays in use while its server is asked again.
        self._lists: dict[str, list[ListedTool]] = {}
        self._ask_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def open_to(self, caller: Caller) -> list[str]:
        """Names of the servers that the caller may use, whether they answer or not."""
        return [name for name, server in self._servers.items() if server.settings.allows(caller)]

    def begin(self) -> None:
        """Ask every server for its tools, in the background."""
        for name in self._servers:
            self._ask_if_due(name)

    async def listed(self, caller: Caller) -> list[ListedTool]:
        """The tools of the caller's servers; none of a server that does not answer."""
        names = self.open_to(caller)
        for name in names:
            self._ask_if_due(name)
        first_lists = [self._asking[name] for name in names if name in self._asking and name not in self._lists]
        if first_lists:
            await asyncio.wait(first_lists, timeout=WAIT_S)
        return [tool for name in names for tool in self._lists.get(name, ())]

    def tool(self, listed: ListedTool) -> Tool | None:
        """The tool of ours that calls a server's; None when the settings no longer hold the server."""
        server = self._servers.get(listed.server)
        return server.tool(listed) if server else None

    def close(self) -> None:
        """End all connections, and the processes that were started for them."""
        for asking in self._asking.values():
            asking.cancel()
        for server in self._servers.values():
            server.close()

    def _ask_if_due(self, name: str) -> None:
        if name in self._asking or time.monotonic() < self._ask_at.get(name, 0.0):
            return
        self._asking[name] = asyncio.create_task(self._ask(name))
        self._asking[name].add_done_callback(lambda _: self._asking.pop(name))

    async def _ask(self, name: str) -> None:
        try:
            async with asyncio.timeout(START_S):
                self._lists[name] = await self._servers[name].listing()
            self._ask_at[name] = time.monotonic() + FRESH_S
        except Exception as error:
            self._lists.pop(name, None)
            self._ask_at[name] = time.monotonic() + AWAY_S
            reason = str(error) or f"no answer within {START_S:g} s"
            log.warning("MCP server %r: %s. Its tools are away for %g s.", name, reason, AWAY_S)


def _connections(servers: Sequence[McpServerSettings]) -> dict[str, ToolServer]:
    # here: the client takes a second to import, and most gateways have no server
    from agents.tools.mcp.client import McpServer

    return {server.name: McpServer(server) for server in servers}

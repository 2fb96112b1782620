"""The MCP servers of the settings, as tasks see them: what each offers now, to those who may have it used.

A server is asked what it offers when the gateway starts and again every few minutes, beside the tasks. One that does
not answer is left alone for a while, and a task goes on without its tools: none can hold up the start or a question.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.tools.breaker import AWAY_S
from agents.tools.contract import Tool
from lakehouse.access.mcp_servers import McpServerSettings
from lakehouse.access.permissions import Caller

if TYPE_CHECKING:
    from agents.tools.mcp.client import McpServer

START_S = 20.0  # an interpreter with its imports, on a busy machine
FRESH_S = 300.0  # a server's tools change with its releases
WAIT_S = 5.0  # for a server that was never heard of; most start within a second or two

log = logging.getLogger("lakehop.mcp")


@dataclass(frozen=True)
class Listed:
    """A tool as its server tells of it. It pickles, for a durable task keeps it."""

    server: str
    name: str
    description: str
    schema: dict[str, Any]


class Connected:
    """One a process, used on one event loop; `close` it at the end."""

    def __init__(self, servers: Sequence[McpServerSettings] = ()) -> None:
        self._servers = _clients(servers) if servers else {}
        self._known: dict[str, list[Listed]] = {}
        self._ask_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def open_to(self, caller: Caller) -> list[str]:
        """Names of the servers that the caller may have used, whether they answer or not."""
        return [name for name, server in self._servers.items() if server.settings.allows(caller)]

    def begin(self) -> None:
        """Ask every server, beside whatever comes next."""
        for name in self._servers:
            self._ask_if_due(name)

    async def listed(self, caller: Caller) -> list[Listed]:
        """What the caller's servers offer; nothing of one that does not answer."""
        names = self.open_to(caller)
        for name in names:
            self._ask_if_due(name)
        new = [self._asking[name] for name in names if name in self._asking and name not in self._known]
        if new:
            await asyncio.wait(new, timeout=WAIT_S)
        return [one for name in names for one in self._known.get(name, ())]

    def tool(self, listed: Listed) -> Tool | None:
        """The tool of ours that calls one of a server; None once there is no such server."""
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
                self._known[name] = await self._servers[name].listing()
            self._ask_at[name] = time.monotonic() + FRESH_S
        except Exception as error:
            self._known.pop(name, None)
            self._ask_at[name] = time.monotonic() + AWAY_S
            reason = str(error) or f"no answer within {START_S:g} s"
            log.warning("MCP server %r: %s. Its tools are away for %g s.", name, reason, AWAY_S)


def _clients(servers: Sequence[McpServerSettings]) -> dict[str, "McpServer"]:
    # here: the client takes a second to import, and most gateways have no server
    from agents.tools.mcp.client import McpServer

    return {server.name: McpServer(server) for server in servers}

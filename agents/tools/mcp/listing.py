"""What the connection to an MCP server and the table of servers share: a listed tool, and a server's interface."""

from dataclasses import dataclass
from typing import Any, Protocol

from agents.tools.contract import Tool
from lakehouse.access.mcp_servers import McpServerSettings

START_S = 20.0  # an interpreter with its imports, on a busy machine


@dataclass(frozen=True)
class ListedTool:
    """A tool as its server describes it. It pickles: the journal of a durable task keeps it."""

    server: str
    name: str
    description: str
    schema: dict[str, Any]
    offered_as: str = ""
    """The name that a model calls it by; empty in journals of earlier releases: as `name`."""


class ToolServer(Protocol):
    """A server of the settings."""

    settings: McpServerSettings

    async def listing(self) -> list[ListedTool]:
        """The tools that the server offers now. Raises ServerFailed."""

    def tool(self, listed: ListedTool) -> Tool:
        """A tool of ours that calls the server's."""

    def close(self) -> None:
        """End the connection, and the server's process where we started it."""
